"""Fine-tuning on a folder: what it leaves, exact resumption, and one message for each bad input."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file
from small_run import assert_same_result, read_curve

import zoo
from zoo.cli import cli
from zoo.errors import CheckpointError, DataError, OptionError, RecipeError, ZooError, ZooWarning
from zoo.feeding import opened
from zoo.feeding.opened import open_for_training
from zoo.recipes import Data, Schedule, finetune_recipe, read_recipe, to_toml
from zoo.training.run import train

MODEL = "se_test_resnet"
SMALL = {"batch_size": 4, "size": 32, "epochs": 2}
HARD = {
    "auto_augment": "rand-m9-mstd0.5", "color_jitter": 0.3, "mixup": 0.2, "cutmix": 1.0,
    "random_erasing": 0.5, "repeats": 2, "ema_decay": 0.9, "accumulate": 2,
}  # fmt: skip


def write_images(root: Path, names: str, count: int, seed: int = 0) -> None:
    """Noisy pictures of odd sizes and several modes, one colour for each class."""
    draw = np.random.default_rng(seed)
    for place, name in enumerate(names.split()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            height, width = draw.integers(30, 60, 2)
            pixels = draw.integers(0, 120, (height, width, 3), dtype=np.uint8)
            pixels[..., place % 3] += 120
            mode = ("RGB", "RGBA", "P", "L")[number % 4]
            Image.fromarray(pixels).convert(mode).save(root / name / f"{number}.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data") / "colours"
    write_images(root, "red green blue", 6)
    return root


@pytest.fixture
def own(folder, tmp_path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(folder, tmp_path / "colours"))


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory) -> Path:
    """A run with everything that is random, without interruption, decoded in the main process."""
    out = tmp_path_factory.mktemp("whole")
    train(finetune_recipe(MODEL, folder, **SMALL, **HARD), out, data=folder, workers=0)
    return out


def test_workers_and_interruptions_change_nothing(folder, whole, tmp_path):
    recipe = finetune_recipe(MODEL, folder, **SMALL, **HARD)
    for limit in (1, 2, None):
        torch.manual_seed(99)  # what else the process draws does not matter
        np.random.seed(limit or 0)
        train(recipe, tmp_path, data=folder, workers=2, limit_steps=limit)
    assert_same_result(tmp_path, whole)


def test_ctrl_c_reaches_the_workers_too_and_the_run_goes_on(folder, whole, tmp_path):
    recipe = finetune_recipe(MODEL, folder, **SMALL, **HARD)

    def interrupt(trainer, row):
        if trainer.step == 2:
            for child in multiprocessing.active_children():  # as a terminal does
                os.kill(child.pid, signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="stopped at step 2 of 6, saved"):
        train(recipe, tmp_path, data=folder, workers=1, report=interrupt)
    assert not multiprocessing.active_children()
    train(recipe, tmp_path, data=folder, workers=1)
    assert_same_result(tmp_path, whole)


def test_another_seed_is_another_run(folder, whole, tmp_path):
    train(finetune_recipe(MODEL, folder, **SMALL, **HARD, seed=1), tmp_path, data=folder, workers=0)
    ours, theirs = (load_file(f / "model.safetensors") for f in (tmp_path, whole))
    assert any(not torch.equal(ours[key], theirs[key]) for key in ours)


def test_the_folder_of_a_run_is_a_model_for_every_command(folder, whole, tmp_path):
    names = sorted(path.name for path in whole.iterdir())
    assert names == ["checkpoint.pt", "curve.csv", "data.json", "model.safetensors", "recipe.toml"]
    assert read_recipe(whole / "recipe.toml") == finetune_recipe(MODEL, folder, **SMALL, **HARD)
    rows = read_curve(whole)
    least = min(float(row["val_error"]) for row in rows)
    call = CliRunner()
    told = call.invoke(cli, ["eval", str(whole), "--workers", "0", "--json"])
    record = json.loads(told.stdout)
    assert record["model"] == MODEL and record["data"]["count"] == 3
    assert 100 - record["metrics"]["top1"] == pytest.approx(least, abs=1e-3)  # the best epoch
    assert record["preprocessing"]["input_size"] == [3, 32, 32]
    told = call.invoke(cli, ["predict", str(whole), str(folder / "red"), "--json"])
    found = json.loads(told.stdout)
    assert len(found) == 6
    assert {g["name"] for p in found for g in p["classes"]} == {"red", "green", "blue"}
    told = call.invoke(cli, ["push", str(whole), "me/colours", "--dry-run", "--out",
                             str(tmp_path / "hub")])  # fmt: skip
    assert told.exit_code == 0, told.output
    config = json.loads((tmp_path / "hub" / "config.json").read_text())
    assert config["pretrained_cfg"]["label_names"] == ["blue", "green", "red"]
    assert "colours" in (tmp_path / "hub" / "README.md").read_text()
    picture = tmp_path / "seen.png"
    told = call.invoke(cli, ["viz", str(whole), str(folder / "red" / "0.png"), "--out",
                             str(picture)])  # fmt: skip
    assert told.exit_code == 0 and picture.is_file(), told.output


def test_the_best_epoch_is_kept_and_the_file_says_what_it_is(folder, whole):
    model = zoo.create_model(whole)
    assert model.pretrained_cfg["label_names"] == ("blue", "green", "red")
    assert model.pretrained_cfg["input_size"] == (3, 32, 32)
    assert model.zoo.untrained == () and model.num_classes == 3
    found = zoo.predict(model, [folder / "red" / "0.png", Image.new("RGB", (9, 40))], top=2)
    assert [len(p.classes) for p in found] == [2, 2]
    x = zoo.predict(model, folder / "red" / "0.png", top=3)[0]
    assert sum(g.probability for g in x.classes) == pytest.approx(1, abs=1e-5)
    assert x.classes[0] == found[0].classes[0] or x.classes[0].probability == pytest.approx(
        found[0].classes[0].probability, abs=1e-4
    )


def test_the_split_is_drawn_by_class_recorded_and_part_of_no_training(folder, whole):
    data = open_for_training(Data(name="colours", holdout_share=0.2), folder)
    held = [data.held_out.describe(i) for i in range(len(data.held_out))]
    assert sorted(name.split("/")[0] for name in held) == ["blue", "green", "red"]
    trained = {data.train.describe(i) for i in range(len(data.train))}
    assert len(trained) == 15 and not trained & set(held)
    assert json.loads((whole / "data.json").read_text())["held_out"] == held
    other = open_for_training(Data(name="colours", holdout_share=0.2, holdout_seed=1), folder)
    assert other.drawn != data.drawn


def test_a_validation_split_is_taken_as_it_is_with_classes_by_name(own):
    root = own.parent / "split"
    root.mkdir()
    own.rename(root / "train")
    write_images(root / "val", "red blue", 2)
    data = open_for_training(Data(name="split", holdout_share=0.2), root)
    assert (len(data.train), len(data.held_out), data.drawn) == (18, 4, ())
    assert data.held_out.labels.tolist() == [0, 0, 2, 2]  # blue, green, red


@pytest.mark.parametrize("name", ["train", "dev"])
def test_a_class_may_be_called_like_a_split(own, name):
    write_images(own, name, 3)
    data = open_for_training(Data(name="colours", holdout_share=0.2), own)
    assert set(data.classes) == {"red", "green", "blue", name} and not data.split


def only_one_class(root):
    for name in ("red", "green"):
        shutil.rmtree(root / name)


def an_empty_class(root):
    (root / "yellow").mkdir()


def no_image(root):
    (root / "red" / "notes.jpg").write_text("this is no image")


def strange_classes(root):
    (root / "train").mkdir()
    for name in ("red", "green", "blue"):
        (root / name).rename(root / "train" / name)
    write_images(root / "val", "red purple", 1)


def a_validation_split_without_classes(root):
    (root / "train").mkdir()
    for name in ("red", "green", "blue"):
        (root / name).rename(root / "train" / name)
    (root / "val").mkdir()
    shutil.copy(root / "train" / "red" / "0.png", root / "val")


def a_class_like_a_split(root):
    write_images(root / "train", "steam electric", 6)


@pytest.mark.parametrize(
    ("spoil", "settings", "error", "said"),
    [
        (a_validation_split_without_classes, {}, DataError, "images without labels"),
        (a_class_like_a_split, {}, DataError, "is train a split of the data, or a class"),
        (only_one_class, {}, DataError, "only one class: blue"),
        (an_empty_class, {}, DataError, "1 of 4 classes have no image: yellow"),
        (no_image, {}, DataError, "notes.jpg"),
        (strange_classes, {}, DataError, "1 classes that training lacks: purple"),
        (None, {"batch_size": 64}, RecipeError, "batch_size = 64 is more than 15 images"),
        (None, {"holdout": 18}, RecipeError, "leaves none of 18 images"),
        (None, {"holdout": 16}, RecipeError, "leaves no image to train on of (blue|green|red)"),
        (None, {"epochs": "3"}, RecipeError, "epochs = '3' is not of type int"),
        (None, {"batch_size": 2.5}, RecipeError, "batch_size = 2.5 is not of type int"),
        (None, {"auto_augment": "rnd-m9"}, RecipeError, "auto_augment = 'rnd-m9' is not unders"),
        (None, {"schedule": Schedule(name="step")}, RecipeError, "after 90 epochs, and there are"),
        (None, {"model_options": {"num_classes": 5}}, DataError, "3 classes, .* recipe says 5"),
        (None, {"schedule_": 1}, OptionError, "no setting 'schedule_'"),
        (None, {"mixup": 1.0, "batch_size": 5}, RecipeError, "batch_size is odd"),
        (None, {"accumulate": 3}, RecipeError, "not a multiple of accumulate"),
        (None, {"hflip": 1.5}, RecipeError, "images.hflip = 1.5 is out of range"),
        (None, {"train": "attention", "model": "test_resnet"}, RecipeError, "has none of the zoo"),
        (None, {"model": "test_vit"}, RecipeError, "160 x 160 only"),
        (None, {"pretrained": True, "model": "cnn11_svhn"}, ZooError, "--backbone-weights FILE"),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_made(own, tmp_path, spoil, settings, error, said):
    if spoil:
        spoil(own)
    settings = {**SMALL, **settings}
    with pytest.raises(error, match=said):
        recipe = finetune_recipe(settings.pop("model", MODEL), own, **settings)
        train(recipe, tmp_path / "out", data=own, workers=0)
    assert not (tmp_path / "out").exists()


def test_a_damaged_image_is_named_left_out_and_another_takes_its_place(own, tmp_path):
    path = own / "red" / "0.png"
    path.write_bytes(path.read_bytes()[:-300])  # its header is whole
    with pytest.warns(ZooWarning, match="0.png cannot be read and is left out: .*truncated"):
        trainer = train(finetune_recipe(MODEL, own, **SMALL), tmp_path / "out", data=own, workers=0)
    assert trainer.step == 6
    named = zoo.predict(trainer.model, own / "red" / "1.png")[0].classes
    assert {guess.name for guess in named} == {"red", "green", "blue"}


def test_a_run_goes_on_with_its_own_data_and_recipe_only(own, tmp_path):
    recipe = finetune_recipe(MODEL, own, **SMALL)
    train(recipe, tmp_path / "out", data=own, workers=0, limit_steps=1)
    with pytest.raises(CheckpointError, match="another recipe"):
        train(replace(recipe, seed=5), tmp_path / "out", data=own, workers=0)
    (own / "red" / "1.png").rename(own / "red" / "9.png")  # as many images, in another order
    with pytest.raises(CheckpointError, match="not the one that this run began with"):
        train(recipe, tmp_path / "out", data=own, workers=0)
    (own / "red" / "9.png").unlink()
    with pytest.raises(CheckpointError, match="not the one that this run began with"):
        train(recipe, tmp_path / "out", data=own, workers=0)


def test_a_disk_without_room_is_found_before_the_first_step(folder, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**9, 10**9, 10**5)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(CheckpointError, match="needs 11 MB .* the disk has 0 MB"):
        train(finetune_recipe(MODEL, folder, **SMALL), tmp_path / "out", data=folder, workers=0)
    assert not (tmp_path / "out").exists()


def test_a_label_outside_the_classes_is_named(tmp_path):
    class Wrong:
        name, split, num_classes, labels = "wrong", "train", 3, [0, 1, 2, 7]
        class_names = ("a", "b", "c")

        def __len__(self):
            return 4

        def __getitem__(self, index):
            return Image.new("RGB", (8, 8)), self.labels[index]

    with pytest.raises(DataError, match="image 3 has label 7, which is none of the 3 classes"):
        opened._relabelled(Wrong(), {0: "a", 1: "b", 2: "c"}, "training")


def test_the_command_says_what_it_lacks(folder, tmp_path):
    call = CliRunner()
    said = call.invoke(cli, ["train", MODEL])
    assert "--data DIR" in str(said.exception)
    recipe = tmp_path / "r.toml"
    said = call.invoke(cli, ["train", MODEL, "--data", str(folder), "--epochs", "3",
                             "--save-recipe", str(recipe)])  # fmt: skip
    assert read_recipe(recipe) == finetune_recipe(MODEL, folder, epochs=3)
    for option, value in (("--epochs", "3"), ("--seed", "0")):
        said = call.invoke(cli, ["train", str(recipe), option, value])
        assert f"{option} is for a MODEL" in str(said.exception)
    said = call.invoke(cli, ["train", MODEL, "--data", str(folder), "--lr", "0"])
    assert "optimizer.lr = 0.0 is out of range" in str(said.exception)
    said = call.invoke(cli, ["train", str(recipe), "--data", str(tmp_path / "absent")])
    assert isinstance(said.exception, DataError) and "no such folder" in str(said.exception)


def test_no_error_is_stated_and_no_weights_are_named_where_there_are_none(folder, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text(to_toml(finetune_recipe(MODEL, folder, **SMALL, holdout_share=0.0)))
    call = ["train", str(recipe), "--data", str(folder), "--workers", "0"]
    out = tmp_path / "out"
    call += ["--out", str(out)]
    told = CliRunner().invoke(cli, [*call, "--limit-steps", "1", "--json"])
    assert json.loads(told.stdout)["weights"] is None
    told = CliRunner().invoke(cli, [*call, "--limit-steps", "1"])
    assert (
        told.stdout
        == f"step 2 of 8: {tmp_path / 'out'}, which has no weights before an epoch is measured\n"
    )
    told = CliRunner().invoke(cli, call)
    assert told.stdout == f"step 8 of 8: {out / 'model.safetensors'}\n"
    assert json.loads(CliRunner().invoke(cli, [*call, "--json"]).stdout)["best"] == {"epoch": 2.0}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"model_options": {"sites": ["layer3", "layer4"], "attention_options": {"reduction": 8}}},
        {"lr": 1, "scale": (0.5, 1), "mixup": 1, "accumulate": 2, "batch_size": 6},
        {"notes": 'say "so"\n\\ and ü\x7f', "scale": [], "mixup": 0.25, "lr": 1e-5, "seed": 7},
    ],
)
def test_a_recipe_is_written_as_it_is_read(settings, tmp_path):
    recipe = finetune_recipe("se_resnet50", "flowers", **settings)
    (tmp_path / "r.toml").write_text(to_toml(recipe), encoding="utf-8")
    read = read_recipe(tmp_path / "r.toml")
    assert read == recipe and read.digest == recipe.digest


def test_the_curve_is_written_for_tensorboard_where_asked(folder, tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    words = ["train", MODEL, "--data", str(folder), "--out", str(tmp_path / "out"), "--size", "32"]
    words += ["--batch-size", "4", "--epochs", "1", "--workers", "0", "--tensorboard"]
    told = CliRunner().invoke(cli, words)
    assert told.exit_code == 0, told.output
    found = events.EventAccumulator(str(tmp_path / "out" / "tensorboard"))
    found.Reload()
    row = read_curve(tmp_path / "out")[0]
    assert {"loss", "val_error", "train_error", "lr"} <= set(found.Tags()["scalars"])
    assert found.Scalars("loss")[0].value == pytest.approx(float(row["loss"]), rel=1e-4)
    assert found.Scalars("loss")[0].step == 3


@pytest.mark.slow
def test_two_processes_stream_their_parts_of_each_batch(folder, tmp_path):
    """Each image of a step is in one process's part, and so the loss is that of the whole batch."""
    recipe = tmp_path / "r.toml"
    settings = {**SMALL, "scale": [], "hflip": 0.0, "model_options": {"num_classes": 3}}
    recipe.write_text(to_toml(finetune_recipe("test_vit3", folder, **{**settings, "size": 160})))
    losses = []
    for count in (1, 2):
        out = tmp_path / str(count)
        call = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
        call += [str(count), "-m", "zoo", "train", str(recipe), "--data", str(folder)]
        call += ["--out", str(out), "--workers", "1"]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(call, env=env, check=True, capture_output=True)
        losses.append([float(row["loss"]) for row in read_curve(out)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
