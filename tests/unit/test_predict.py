"""`zoo predict` and `zoo.predict`, against timm's own preprocessing and names."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import save_file
from timm.data import ImageNetInfo, create_transform, resolve_data_config

import zoo
from zoo.cli import cli
from zoo.errors import DataError, OptionError, UsageError, WeightsMismatchError


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(0)
    for number in range(3):
        pixels = draw.integers(0, 256, (50, 40 + number, 3), dtype=np.uint8)
        (root / "more").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(root / ("more" if number else ".") / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    model = zoo.create_model("test_resnet")
    torch.nn.init.normal_(model.get_classifier().weight, std=0.5)
    return zoo.save_model(model, tmp_path_factory.mktemp("model") / "net.safetensors")


def call(*words: object):
    return CliRunner().invoke(cli, ["predict", *map(str, words)])


def test_the_classes_are_timms_with_the_words_of_imagenet(photos, weights):
    model = zoo.create_model(weights).eval()
    transform = create_transform(**resolve_data_config({}, model=model))
    files = [photos / "0.png", photos / "more" / "1.png"]
    x = torch.stack([transform(Image.open(file)) for file in files])
    with torch.inference_mode():
        values, indices = model(x).softmax(-1).topk(3)
    info = ImageNetInfo("imagenet-1k")
    for row, found in enumerate(zoo.predict(model, files, top=3)):
        assert found.image == str(files[row]) and not found.error
        assert [g.index for g in found.classes] == indices[row].tolist()
        for guess, value in zip(found.classes, values[row].tolist(), strict=True):
            assert guess.probability == pytest.approx(value, abs=1e-4)
            assert guess.name == info.index_to_label_name(guess.index)
            assert guess.text == info.index_to_description(guess.index)


def test_a_photograph_is_read_as_its_file_holds_it_by_predict_and_explain(weights, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8)
    turned, file = Image.Exif(), tmp_path / "turned.png"
    turned[0x0112] = 6  # a camera's note: a quarter turn
    Image.fromarray(pixels).save(file, exif=turned)
    model = zoo.create_model(weights).eval()
    plain = zoo.predict(model, pixels)[0].classes
    for found in (zoo.predict(model, file)[0].classes, zoo.explain(model, file).predictions):
        assert [g.index for g in found[:5]] == [g.index for g in plain]
        assert [g.probability for g in found[:5]] == pytest.approx(
            [g.probability for g in plain], rel=1e-3
        )


def test_text_json_and_csv_say_the_same(photos, weights):
    text = call(weights, photos / "0.png", "--top", 2)
    assert text.exit_code == 0, text.output
    said = json.loads(call(weights, photos / "0.png", "--top", 2, "--json").stdout)
    rows = list(
        csv.reader(io.StringIO(call(weights, photos / "0.png", "--top", 2, "--csv").stdout))
    )
    lines = text.stdout.splitlines()
    assert lines[0] == said[0]["image"] == rows[1][0] == str(photos / "0.png")
    for place, guess in enumerate(said[0]["classes"]):
        assert lines[1 + place].endswith(guess["description"])
        assert rows[1][1 + 2 * place] == guess["description"]
        assert float(rows[1][2 + 2 * place]) == pytest.approx(guess["probability"], abs=1e-6)


def test_folders_and_patterns_are_read_in_order_and_what_cannot_be_is_named(photos, weights):
    broken = photos / "more" / "5.png"
    broken.write_bytes(b"no picture")
    try:
        found = call(weights, photos, photos / "more" / "[12].png", photos / "no.png", "--csv")
    finally:
        broken.unlink()
    rows = list(csv.DictReader(io.StringIO(found.stdout)))
    names = [Path(row["image"]).name for row in rows]
    assert names == ["0.png", "1.png", "2.png", "5.png", "1.png", "2.png", "no.png"]
    assert [bool(row["error"]) for row in rows] == [False] * 3 + [True, False, False, True]
    assert found.exit_code == 1
    assert [line.split(":")[0] for line in found.stderr.splitlines()] == ["error", "error"]
    assert str(broken) in found.stderr and "no.png" in found.stderr


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_and_workers_change_nothing(photos, weights, workers):
    files = [photos / "0.png", photos / "more" / "1.png", photos / "more" / "2.png"]
    whole = call(weights, *files, "--json")
    parts = call(weights, *files, "--json", "--batch-size", 2, "--workers", workers)
    ours, theirs = json.loads(parts.stdout), json.loads(whole.stdout)
    assert [p["image"] for p in ours] == [p["image"] for p in theirs] == list(map(str, files))
    for one, other in zip(ours, theirs, strict=True):
        assert [g["index"] for g in one["classes"]] == [g["index"] for g in other["classes"]]


def test_what_has_no_classes_to_name_is_refused(photos, weights, tmp_path):
    with pytest.raises(DataError, match="cannot classify it"):
        zoo.predict(weights, tmp_path / "absent.png")
    with pytest.raises(OptionError, match="top=0"):
        zoo.predict(weights, photos / "0.png", top=0)
    with pytest.raises(UsageError, match="reads sequences"):
        zoo.predict(zoo.create_model("dram_mnist_pairs"), photos / "0.png")
    said = call(weights, tmp_path)
    assert isinstance(said.exception, UsageError) and "no images" in str(said.exception)
    said = call(weights, tmp_path / "*.jpg")
    assert "fits no file" in str(said.exception)
    said = call(weights, photos, "--json", "--csv")
    assert isinstance(said.exception, UsageError)


def test_scores_that_are_no_numbers_are_an_error_of_the_image(photos, tmp_path):
    """JSON has no NaN, and no class is the most probable of them."""
    model = zoo.create_model("test_resnet", num_classes=3)
    torch.nn.init.constant_(model.get_classifier().weight, 3e38)  # too much for float32
    broken = zoo.save_model(model, tmp_path / "broken.safetensors")
    found = call(broken, photos / "0.png", "--json")
    (prediction,) = json.loads(found.stdout, parse_constant=pytest.fail)
    assert found.exit_code == 1 and not prediction["classes"]
    assert "no finite numbers" in prediction["error"] and "no finite numbers" in found.stderr
    with pytest.raises(DataError, match="no finite numbers"):
        zoo.predict(broken, photos / "0.png")


def test_a_path_without_a_model_says_what_it_lacks(tmp_path, photos):
    (tmp_path / "run").mkdir()
    said = call(tmp_path / "run", photos / "0.png")
    assert "no model.safetensors in the folder" in str(said.exception)
    plain = timm.create_model("test_resnet")
    save_file(plain.state_dict(), tmp_path / "bare.safetensors")
    said = call(tmp_path / "bare.safetensors", photos / "0.png")
    assert "does not say of which model" in str(said.exception)
    stated = zoo.save_model(zoo.create_model("test_resnet"), tmp_path / "net.safetensors")
    with pytest.raises(UsageError, match="names the weights already"):
        zoo.create_model(stated, weights="x")


def test_names_of_models_win_over_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = zoo.create_model("test_resnet", num_classes=3)
    for name in ("test_resnet", "mine"):
        (tmp_path / name).mkdir()
        zoo.save_model(model, tmp_path / name / "model.safetensors")
    assert zoo.create_model("test_resnet").num_classes == 1000
    assert zoo.create_model("./test_resnet").num_classes == 3
    assert zoo.create_model("mine").num_classes == 3


def test_a_classifier_that_is_new_names_nothing(photos, weights, monkeypatch):
    monkeypatch.setattr(
        "zoo.evaluation.predict.create_model",
        lambda name, pretrained: zoo.create_model("test_resnet", weights=weights, num_classes=5),
    )
    with pytest.raises(WeightsMismatchError, match="so it cannot be used"):
        zoo.predict("test_resnet", photos / "0.png")


def test_images_are_looked_for_before_weights(tmp_path: Path) -> None:
    """A wrong path is not answered with a word about the Hub."""
    result = CliRunner().invoke(cli, ["predict", "resnet18", str(tmp_path / "absent.png")])
    assert "none of the images is there" in f"{result.output}{result.exception}"
