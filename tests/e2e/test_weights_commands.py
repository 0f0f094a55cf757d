"""`zoo eval`, `viz`, `push` on files: what the file is, never a new classifier as a trained one."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file, save_file

import zoo
from zoo.cli import cli
from zoo.data.preprocessing import Preprocessing, ToPixels
from zoo.errors import UsageError, WeightsMismatchError

pytestmark = pytest.mark.long

MODEL = "cbam_test_resnet"
CLASSES = 10


@pytest.fixture(autouse=True)
def wait_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """`zoo eval` sets it for its process; here it must not outlive the test."""
    monkeypatch.setenv("OMP_WAIT_POLICY", os.environ.get("OMP_WAIT_POLICY", "PASSIVE"))


def run(*arguments: object) -> dict[str, Any]:
    """A command's JSON; its error is raised."""
    given = [*map(str, arguments), "--json"]
    result = CliRunner().invoke(cli, given, catch_exceptions=False)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def fine_tuned(**options: Any) -> Any:
    """A model of ten classes, with gates off their start, that tells its images apart."""
    torch.manual_seed(0)
    model: Any = zoo.create_model(MODEL, num_classes=CLASSES, **options).eval()
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.add_(0.02 * torch.randn_like(tensor))
    return model


def photographs(model: Any, folder: Path) -> Path:
    """Images in folders of the class that the model sees in each: it is right by construction."""
    settings = Preprocessing.of(model)
    pixels = ToPixels(settings)
    generator = torch.Generator().manual_seed(1)
    logits, images = [], []
    for _ in range(24):
        colours = torch.randint(0, 256, (4, 4, 3), generator=generator, dtype=torch.uint8)
        image = Image.fromarray(colours.numpy()).resize((160, 160), Image.Resampling.NEAREST)
        images.append(image)
        with torch.no_grad():
            x = settings.normalise(torch.from_numpy(pixels(image))[None], torch.device("cpu"))
            logits.append(model(x)[0])
    found = torch.stack(logits)
    found = found - found.mean(0)  # no class is seen in all
    model.fc.bias.data -= torch.stack(logits).mean(0)
    for number, (image, label) in enumerate(zip(images, found.argmax(1), strict=True)):
        (folder / str(int(label))).mkdir(parents=True, exist_ok=True)
        image.save(folder / str(int(label)) / f"{number}.png")
    for label in range(CLASSES):
        (folder / str(label)).mkdir(exist_ok=True)
        if not any((folder / str(label)).iterdir()):
            images[0].save(folder / str(label) / "other.png")
    return folder


@pytest.fixture(scope="module", params=["exact", "residual"])
def files(request: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same weights with and without a word of what they are, and images."""
    folder = tmp_path_factory.mktemp(request.param)
    model = fine_tuned(insertion=request.param)
    data = photographs(model, folder / "data")
    bare = folder / "bare.safetensors"
    save_file(model.state_dict(), bare)
    stated = zoo.save_model(model, folder / "stated.safetensors")
    return {"bare": bare, "stated": stated, "data": data}


@pytest.mark.parametrize("kind", ["bare", "stated"])
def test_eval_measures_the_classifier_of_the_file(files: dict[str, Path], kind: str) -> None:
    others = len(list(files["data"].glob("*/other.png")))
    count = len(list(files["data"].glob("*/*.png")))
    data = ("--data", files["data"], "--workers", 0)
    metrics = run("eval", MODEL, "--weights", files[kind], *data)["metrics"]
    assert metrics["top1"] >= 100 * (count - others) / count - 1e-6
    assert run("eval", MODEL, "--weights", files[kind], "--num-classes", CLASSES, *data)["metrics"]
    with pytest.raises(WeightsMismatchError, match="cannot be measured"):
        run("eval", MODEL, "--weights", files[kind], "--num-classes", 5, *data)


@pytest.mark.parametrize("kind", ["bare", "stated"])
def test_viz_says_what_is_untrained(files: dict[str, Path], kind: str, tmp_path: Path) -> None:
    image = next(files["data"].glob("*/*.png"))
    call = ("viz", MODEL, image, "--out", tmp_path / "x.png", "--weights", files[kind])
    assert run(*call)["untrained"] is False
    assert run(*call, "--num-classes", 5)["untrained"] is True


@pytest.mark.parametrize("kind", ["bare", "stated"])
def test_push_publishes_what_the_file_is(files: dict[str, Path], kind: str, tmp_path: Path) -> None:
    dry = ("--dry-run", "--out", tmp_path)
    run("push", MODEL, "org/net", "--weights", files[kind], *dry)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["num_classes"] == CLASSES
    assert "10 classes" in (tmp_path / "README.md").read_text()
    again: Any = zoo.create_model(
        config["architecture"], weights=tmp_path / "model.safetensors", **config["model_args"]
    )
    assert again.num_classes == CLASSES and again.zoo.untrained == ()
    with pytest.raises(WeightsMismatchError, match="cannot be published"):
        run("push", MODEL, "org/net", "--weights", files[kind], "--num-classes", 5, *dry)


def test_push_of_a_file_alone_needs_its_statement(files: dict[str, Path], tmp_path: Path) -> None:
    run("push", files["stated"], "org/net", "--dry-run", "--out", tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["num_classes"] == CLASSES
    with pytest.raises(UsageError, match="nothing says which model"):
        run("push", files["bare"], "org/net", "--dry-run")


@pytest.mark.parametrize("option", ["--weights", "--backbone-weights"])
def test_push_of_a_file_takes_no_other_weights(files: dict[str, Path], option: str) -> None:
    with pytest.raises(UsageError, match="names the weights already"):
        run("push", files["stated"], "org/net", "--dry-run", option, files["bare"])
    with pytest.raises(UsageError, match="--base-model says nothing of a model"):
        run("push", files["stated"], "org/net", "--dry-run", "--base-model", "org/base")


def test_push_of_a_model_is_not_of_a_folder_of_its_name(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `create_model`: a word is a path only if no model has that name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / MODEL).mkdir()
    (tmp_path / MODEL / "model.safetensors").write_bytes(files["stated"].read_bytes())
    call = ("push", MODEL, "org/net", "--dry-run", "--weights", files["bare"])
    assert run(*call)["sha256"] == hashlib.sha256(files["bare"].read_bytes()).hexdigest()
    call = ("push", f"./{MODEL}", "org/net", "--dry-run")
    assert run(*call)["sha256"] == hashlib.sha256(files["stated"].read_bytes()).hexdigest()


def test_warm_starts_from_a_file_of_the_backbone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone: Any = zoo.create_model("test_resnet", num_classes=CLASSES).eval()
    data = photographs(backbone, tmp_path / "data")
    file = zoo.save_model(backbone, tmp_path / "backbone.safetensors")
    call = ("--data", data, "--workers", 0)
    plain = run("eval", "test_resnet", "--weights", file, *call)["metrics"]
    warm = run("eval", MODEL, "--backbone-weights", file, *call)["metrics"]
    assert warm == plain
    image = next(data.glob("*/*.png"))
    viz = ("viz", MODEL, image, "--out", tmp_path / "x.png", "--backbone-weights", file)
    assert run(*viz)["untrained"] is True
    out = tmp_path / "package"
    run("push", MODEL, "org/net", "--backbone-weights", file, "--dry-run", "--out", out)
    assert "those of backbone.safetensors" in (out / "README.md").read_text()
    pushed: Any = zoo.create_model(MODEL, weights=out / "model.safetensors")
    assert pushed.zoo.insertion == "residual"
    assert load_file(out / "model.safetensors").keys() == pushed.state_dict().keys()
