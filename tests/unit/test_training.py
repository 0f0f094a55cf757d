"""Training: a killed run ends as one that was not, and wrong input is refused in one sentence."""

from __future__ import annotations

import csv
import errno
import gzip
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from zoo_plugins.digits import sets
from zoo_plugins.recurrent.reinforce import Reinforce

import zoo
from zoo.cli import cli
from zoo.errors import CheckpointError, DataError, OptionError, RecipeError, UnknownNameError
from zoo.evaluation.processes import Processes
from zoo.files import write_atomically
from zoo.names import parse
from zoo.registry import default_registry
from zoo.training import run as training
from zoo.training.augment import augment
from zoo.training.checkpoint import load_checkpoint, save_checkpoint
from zoo.training.data import Drawn, training_data
from zoo.training.recipe import Augment, Data, read_recipe
from zoo.training.shared import check_parts, part

RECIPES = sorted((Path(__file__).resolve().parents[2] / "weights" / "recipes").glob("*.toml"))
RECIPE = """
model = "ram_mnist"
epochs = 4
batch_size = 32
seed = 3
ema_decay = 0.9
validate_every = 2

[data]
name = "mnist"
holdout = 40

[optimizer]
lr = 3e-3
weight_decay = 0.01
clip_norm = 5.0

[augment]
rotate = 5.0
elastic = 0.5

[model_options]
num_glimpses = 3
hidden_size = 32

[objective]
std = [0.2, 0.1]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder as the official training files lie in one, with 360 made-up digits."""
    folder = tmp_path_factory.mktemp("mnist")
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (360, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 10, (360,), generator=generator, dtype=torch.uint8)
    parts = {"images-idx3": (0x803, images), "labels-idx1": (0x801, labels)}
    for name, (magic, values) in parts.items():
        header = struct.pack(f">{1 + values.ndim}I", magic, *values.shape)
        with gzip.open(folder / f"train-{name}-ubyte.gz", "wb") as file:
            file.write(header + values.numpy().tobytes())
    return folder


@pytest.fixture
def recipe(tmp_path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    path = out / "small.toml"
    path.write_text(RECIPE)
    training.train(read_recipe(path), out, data=data)
    return out


def assert_same_result(out: Path, other: Path) -> None:
    ours, theirs = (load_file(folder / training.WEIGHTS) for folder in (out, other))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    curves = [read_curve(folder) for folder in (out, other)]
    for row in (*curves[0], *curves[1]):
        del row["seconds"]
    assert curves[0] == curves[1]


def read_curve(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / training.CURVE).read_text().splitlines()))


def command(recipe: Path, out: Path, data: Path, *more: str) -> list[str]:
    base = [sys.executable, "-m", "zoo", "train", str(recipe), "--out", str(out)]
    return [*base, "--data", str(data), *more]


def test_a_killed_process_resumes_to_the_same_result(recipe, data, uninterrupted, tmp_path):
    out = tmp_path / "out"
    env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen(command(recipe, out, data), env=env, stderr=subprocess.DEVNULL)
    while not (out / training.CHECKPOINT).exists():
        assert process.poll() is None, "it ended before its first checkpoint"
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    step = load_checkpoint(out / training.CHECKPOINT, read_recipe(recipe).digest)["step"]
    assert 0 < step
    subprocess.run(command(recipe, out, data), env=env, check=True, stderr=subprocess.DEVNULL)
    assert_same_result(out, uninterrupted)


def test_a_run_stopped_within_an_epoch_resumes_to_the_same_result(
    recipe, data, uninterrupted, tmp_path
):
    out, settings = tmp_path / "out", read_recipe(recipe)
    for limit in (7, 16, None):
        torch.manual_seed(99)  # what else the process draws does not matter
        trainer = training.train(settings, out, data=data, limit_steps=limit)
    assert trainer.step == trainer.total_steps == 40
    assert_same_result(out, uninterrupted)


def test_the_curve_has_a_row_an_epoch_and_the_errors_asked_for(uninterrupted):
    rows = read_curve(uninterrupted)
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert [bool(row["val_error_one_pass"]) for row in rows] == [False, True, False, True]
    assert all(0 <= float(rows[-1][k]) <= 100 for k in ("val_error", "val_error_one_pass"))


def test_the_trained_weights_load_into_the_model(uninterrupted):
    import zoo

    model = zoo.create_model(
        "ram_mnist", weights=uninterrupted / training.WEIGHTS, num_glimpses=3, hidden_size=32
    )
    assert model.eval()(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_a_run_starts_from_weights_where_asked(recipe, data, uninterrupted, tmp_path):
    weights = uninterrupted / training.WEIGHTS
    recipe.write_text(f'weights = "{weights}"\n' + RECIPE.replace("lr = 3e-3", "lr = 1e-12"))
    training.train(read_recipe(recipe), tmp_path / "out", data=data, limit_steps=1)
    ours, theirs = load_file(tmp_path / "out" / training.WEIGHTS), load_file(weights)
    for key in theirs:
        torch.testing.assert_close(ours[key], theirs[key])


def test_the_command_prints_json_and_stops_where_told(recipe, data, tmp_path):
    call = ["train", str(recipe), "--out", str(tmp_path / "out"), "--data", str(data)]
    result = CliRunner().invoke(cli, [*call, "--limit-steps", "12", "--json"])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["step"], said["steps"]) == (12, 40)
    assert Path(said["weights"]).is_file()
    assert "1/4" in result.stderr and "train_error" in result.stderr


def test_any_model_trains_by_cross_entropy(data, tmp_path):
    path = tmp_path / "plain.toml"
    path.write_text(
        'model = "resnet18"\nepochs = 1\nbatch_size = 4\n[data]\nname = "mnist"\nholdout = 350\n'
        "[optimizer]\nlr = 1e-3\n[model_options]\nin_chans = 1\nnum_classes = 10\n"
        "[objective]\nlabel_smoothing = 0.1\n"
    )
    trainer = training.train(read_recipe(path), tmp_path / "out", data=data)
    assert trainer.step == 2 and "val_error" in trainer.curve[-1]


@pytest.mark.parametrize("size", [0, 10, 5000])
def test_a_damaged_checkpoint_is_refused_and_kept(recipe, data, tmp_path, size):
    out, settings = tmp_path / "out", read_recipe(recipe)
    training.train(settings, out, data=data, limit_steps=1)
    path = out / training.CHECKPOINT
    damaged = path.read_bytes()[:size]
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError, match="cannot be read"):
        training.train(settings, out, data=data, limit_steps=1)
    assert path.read_bytes() == damaged


def test_a_checkpoint_of_another_recipe_is_refused(recipe, data, tmp_path):
    out = tmp_path / "out"
    training.train(read_recipe(recipe), out, data=data, limit_steps=1)
    recipe.write_text(RECIPE.replace("seed = 3", "seed = 4"))
    with pytest.raises(CheckpointError, match="another recipe"):
        training.train(read_recipe(recipe), out, data=data, limit_steps=1)
    recipe.write_text('notes = "what is only said changes nothing"\n' + RECIPE)
    assert training.train(read_recipe(recipe), out, data=data, limit_steps=1).step == 2


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, lambda file: file.write(b"whole"))

    def fail(file):
        file.write(b"half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_atomically(path, fail)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"whole"


def test_a_full_disk_is_one_error_and_the_last_checkpoint_stays(
    recipe, data, uninterrupted, tmp_path
):
    """A limit on the size of files stands for the full disk: writes fail half-way, as there."""
    out = tmp_path / "out"
    env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    subprocess.run(command(recipe, out, data, "--limit-steps", "3"), env=env, check=True,
                   stderr=subprocess.DEVNULL)  # fmt: skip
    before = (out / training.CHECKPOINT).read_bytes()
    room = len(before) // 2
    assert room > (out / training.WEIGHTS).stat().st_size
    failed = subprocess.run(
        command(recipe, out, data), env=env, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )  # fmt: skip
    assert failed.returncode == 1 and "Traceback" not in failed.stderr
    assert "cannot be saved: File too large" in failed.stderr and str(out) in failed.stderr
    assert (out / training.CHECKPOINT).read_bytes() == before
    assert not list(out.glob(".*.tmp"))
    subprocess.run(command(recipe, out, data), env=env, check=True, stderr=subprocess.DEVNULL)
    assert_same_result(out, uninterrupted)


@pytest.mark.parametrize("file", [training.WEIGHTS, training.CURVE, training.CHECKPOINT])
def test_whichever_file_has_no_room_the_run_can_go_on(
    recipe, data, uninterrupted, tmp_path, monkeypatch, file
):
    out, settings = tmp_path / "out", read_recipe(recipe)
    training.train(settings, out, data=data, limit_steps=5)
    replace = os.replace

    def full(source, target):
        if Path(target).name == file:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(CheckpointError, match="cannot be saved: No space left"):
            training.train(settings, out, data=data)
    training.train(settings, out, data=data)
    assert_same_result(out, uninterrupted)


class TestDrawnData:
    """Images that are made on the fly, anew in each epoch."""

    @pytest.fixture
    def cluttered(self, tmp_path) -> Path:
        path = tmp_path / "drawn.toml"
        text = RECIPE.replace('name = "mnist"', 'name = "mnist_cluttered60"')
        path.write_text(text.replace('"ram_mnist"', '"ram_mnist_cluttered60"'))
        return path

    def test_a_stopped_run_resumes_to_the_same_result(self, cluttered, data, tmp_path):
        settings = read_recipe(cluttered)
        whole, parts = tmp_path / "whole", tmp_path / "parts"
        training.train(settings, whole, data=data, limit_steps=25)
        for limit in (9, 4, 12):
            torch.manual_seed(limit)
            training.train(settings, parts, data=data, limit_steps=limit)
        assert_same_result(whole, parts)

    def test_held_out_digits_are_never_trained_on_and_always_look_the_same(self, cluttered, data):
        settings = read_recipe(cluttered)
        found, again = (training_data(settings, data) for _ in range(2))
        assert torch.equal(found.held_out.images, again.held_out.images)
        assert (len(found.held_out), len(found.train), found.channels) == (40, 320, 1)
        assert isinstance(found.train, Drawn)
        held_out = sets.mnist_translated60(data, "train").digits.images[
            torch.randperm(360, generator=torch.Generator().manual_seed(0))[:40]
        ]
        trained = found.train.data.digits.images.flatten(1)
        assert not (trained[:, None] == held_out.flatten(1)).all(-1).any()

    def test_each_epoch_shows_other_images_and_the_seed_decides_which(self, cluttered, data):
        settings, index = read_recipe(cluttered), torch.arange(5)
        train = training_data(settings, data).train
        first = train.batch(index, 0)
        assert torch.equal(first.images, train.batch(index, 0).images)
        assert (first.images != train.batch(index, 1).images).flatten(1).any(1).all()
        other = training_data(replace(settings, seed=4), data).train.batch(index, 0)
        assert (first.images != other.images).flatten(1).any(1).all()
        assert torch.equal(first.labels, other.labels)

    def test_images_with_several_labels(self, cluttered, data):
        settings = read_recipe(cluttered)
        found = training_data(replace(settings, data=Data(name="mnist_pairs", holdout=7)), data)
        assert found.held_out.labels.shape == (7, 2) and found.num_classes == 10
        batch = found.train.batch(torch.tensor([1, 5]), 3)
        assert batch.images.shape == (2, 1, 100, 100) and batch.labels.shape == (2, 2)


@pytest.mark.slow
def test_two_processes_train_one_model_and_resume(recipe, data, tmp_path):
    """Without chance in the model, half of each batch apiece is the same as whole batches."""
    recipe.write_text(
        'model = "cnn2_mnist"\nepochs = 2\nbatch_size = 40\nema_decay = 0.9\n'
        '[data]\nname = "mnist"\nholdout = 40\n[optimizer]\nname = "sgd"\nlr = 1e-3\n'
        "[model_options]\ndrop_rates = [0.0, 0.0]\n"
    )
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    outs = {count: tmp_path / str(count) for count in (1, 2)}
    for limits in (("--limit-steps", "5"), ()):
        for count, out in outs.items():
            start = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
            call = [
                *start,
                "--nproc-per-node",
                str(count),
                *command(recipe, out, data, *limits)[1:],
            ]
            said = subprocess.run([*call, "--json"], env=env, check=True, capture_output=True)
            assert json.loads(said.stdout)["step"] == (5 if limits else 16)
    ours, theirs = (load_file(out / training.WEIGHTS) for out in outs.values())
    for key in ours:
        torch.testing.assert_close(ours[key], theirs[key], rtol=1e-4, atol=1e-6)
    rows, others = (read_curve(out) for out in outs.values())
    assert [float(r["loss"]) for r in rows] == pytest.approx([float(r["loss"]) for r in others])


def test_batches_that_cannot_be_shared_are_refused():
    with pytest.raises(RecipeError, match="3 processes"):
        check_parts(32, Processes(0, 3, torch.device("cpu")))
    index = torch.arange(6)
    assert part(index, Processes(1, 2, torch.device("cpu"))).tolist() == [1, 3, 5]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_of_the_project_name_what_there_is(path):
    settings, registry = read_recipe(path), default_registry()
    assert settings.data.name in registry.datasets
    assert parse(settings.model, registry).name == settings.model
    assert settings.notes


def test_checkpoints_hold_data_only(tmp_path):
    save_checkpoint(tmp_path / "c", "digest", {"step": 1})
    assert load_checkpoint(tmp_path / "c", "digest") == {"step": 1}
    torch.save({"format": 1, "recipe": "digest", "state": Path("x")}, tmp_path / "code")
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "code", "digest")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("epochs = 4", "epoch = 4", "unknown key epoch"),
        ("epochs = 4", "", "missing key epochs"),
        ("lr = 3e-3", "", "missing key optimizer.lr"),
        ("lr = 3e-3", "lr = 0", "optimizer.lr"),
        ("lr = 3e-3", 'lr = "fast"', "optimizer.lr"),
        ("holdout = 40", "holdouts = 40", "unknown key data.holdouts"),
        ("holdout = 40", "holdout = true", "data.holdout = True is not of type int or list of int"),
        ("holdout = 40", "holdout = -1", "data.holdout"),
        ("holdout = 40", "holdout = [20, 20]", "data.holdout .* not one number for each"),
        ("holdout = 40", "holdout = []", "data.holdout"),
        ("holdout = 40", "holdout = [2.5]", "data.holdout"),
        ("holdout = 40", "holdout_seed = -1", "data.holdout_seed"),
        ("seed = 3", f"seed = {2**64}", "seed"),
        ("holdout = 40", 'splits = "train"', "data.splits = 'train' is not of type list of str"),
        ("holdout = 40", 'splits = ["train", "test"]', "data.splits"),
        ("holdout = 40", 'splits = ["train", "train"]', "data.splits"),
        ("lr = 3e-3", "lr = 3e-3\ndrops = [0.5, 1.5]", "optimizer.drops"),
        ("std = [0.2, 0.1]", "std = [0.2, 0.1]\n[weights]\na = 1", "weights = .* not of type str"),
        ("batch_size = 32", "batch_size = 0", "batch_size"),
        ("batch_size = 32", "batch_size = true", "batch_size"),
        ("[data]", "[date]", "unknown key date"),
        ("rotate = 5.0", "rotate = -5.0", "augment.rotate"),
        ("ema_decay = 0.9", "ema_decay = 1.0", "ema_decay"),
        ("[data]", "[data", "not TOML"),
    ],
)
def test_a_wrong_recipe_is_one_clear_error(recipe, old, new, named):
    recipe.write_text(RECIPE.replace(old, new))
    with pytest.raises(RecipeError, match=named) as caught:
        read_recipe(recipe)
    assert str(recipe) in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "error", "named"),
    [
        ("std = [0.2, 0.1]", "reward = 1", RecipeError, "reward"),
        ("std = [0.2, 0.1]", "rewards = 1", RecipeError, "rewards"),
        ("std = [0.2, 0.1]", "std = [0.2]", RecipeError, "std"),
        ("holdout = 40", "holdout = 360", RecipeError, "holdout"),
        ("holdout = 40", "holdout = 350", RecipeError, "batch_size"),
        ('name = "mnist"', 'name = "mnits"', UnknownNameError, "mnits"),
        ('model = "ram_mnist"', 'model = "ram_mnits"', UnknownNameError, "ram_mnits"),
        ('lr = 3e-3', 'lr = 3e-3\nname = "adamwww"', RecipeError, "adamwww"),
        ("num_glimpses = 3", "num_classes = 5", DataError, "10 classes"),
        ("num_glimpses = 3", "in_chans = 3", DataError, "1 channels"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused_before_it_starts(
    recipe, data, tmp_path, old, new, error, named
):
    recipe.write_text(RECIPE.replace(old, new))
    with pytest.raises(error, match=named):
        training.train(read_recipe(recipe), tmp_path / "out", data=data)
    assert not (tmp_path / "out").exists()


def test_a_recipe_of_today_has_the_digest_of_its_run_of_yesterday(recipe):
    """Keys that were added since then change nothing where they are not used."""
    settings = read_recipe(recipe)
    assert settings.digest == "4438f35dad95fcae25e91c31fcd63903717cd31d75f9bb4403a42c2b6ccc70d4"
    several = replace(settings, data=replace(settings.data, splits=["train", "extra"]))
    assert several.digest != settings.digest


def test_sequences_of_labels_are_refused_by_a_classifier(recipe, data, tmp_path):
    text = RECIPE.replace('"mnist"', '"mnist_pairs"').replace(
        "num_glimpses = 3", "image_size = 100"
    )
    text = text.replace('"ram_mnist"', '"cnn2_mnist"').replace("hidden_size = 32", "")
    recipe.write_text(text.replace("std = [0.2, 0.1]", ""))
    with pytest.raises(RecipeError, match="2 labels each"):
        training.train(read_recipe(recipe), tmp_path / "out", data=data)
    assert not (tmp_path / "out").exists()


def test_reinforcement_of_one_class_refuses_sequences():
    model = zoo.create_model("ram_mnist", num_glimpses=2)
    with pytest.raises(RecipeError, match="2 labels each"):
        Reinforce(model)(torch.rand(3, 1, 28, 28), torch.zeros(3, 2, dtype=torch.int64), 0.5)


def test_weights_in_half_precision_load_as_they_were(recipe, uninterrupted, data, tmp_path):
    recipe.write_text(RECIPE.replace("epochs", "save_half = true\nepochs"))
    settings = read_recipe(recipe)
    training.train(settings, tmp_path / "half", data=data)
    whole = load_file(uninterrupted / "model.safetensors")
    half = load_file(tmp_path / "half" / "model.safetensors")
    assert {v.dtype for v in half.values()} == {torch.float16}
    assert all(torch.equal(whole[k].half(), v) for k, v in half.items())
    model = zoo.create_model(
        "ram_mnist", weights=tmp_path / "half" / "model.safetensors", **settings.model_options
    )
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_a_checkpoint_is_refused_before_data_are_read(recipe, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / training.CHECKPOINT).write_bytes(b"half")
    with pytest.raises(CheckpointError):
        training.train(read_recipe(recipe), tmp_path / "out", data=tmp_path / "absent")


def test_a_folder_that_cannot_be_is_refused_before_data_are_read(recipe, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match="file"):
        training.train(read_recipe(recipe), tmp_path / "file" / "out", data=tmp_path / "absent")


def test_a_split_that_is_not_there_is_named_as_recipes_do(recipe, data, tmp_path):
    recipe.write_text(RECIPE.replace("holdout = 40", 'splits = ["train", "extra"]'))
    with pytest.raises(DataError, match="no split 'extra'") as caught:
        training.train(read_recipe(recipe), tmp_path / "out", data=data)
    assert "data.splits" in caught.value.remedy and "--split" not in caught.value.remedy


def test_absent_files_and_devices_are_named(recipe, data, tmp_path):
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path / "absent.toml")
    with pytest.raises(DataError):
        training.train(read_recipe(recipe), tmp_path / "out", data=tmp_path / "absent")
    with pytest.raises(OptionError, match="nowhere"):
        training.train(read_recipe(recipe), tmp_path / "out", data=data, device="nowhere")


def test_a_diverging_run_stops_and_keeps_its_last_good_checkpoint(recipe, data, tmp_path):
    recipe.write_text(RECIPE.replace("lr = 3e-3", "lr = 1e30").replace("clip_norm = 5.0", ""))
    settings, out = read_recipe(recipe), tmp_path / "out"
    training.train(settings, out, data=data, limit_steps=1)
    before = (out / training.CHECKPOINT).read_bytes()
    with pytest.raises(RecipeError, match="no longer finite"):
        training.train(settings, out, data=data)
    assert (out / training.CHECKPOINT).read_bytes() == before


def test_no_augmentation_is_the_identity_and_any_moves_pixels_a_little():
    images = torch.rand(4, 3, 20, 28)
    assert torch.equal(augment(images, Augment()), images)
    torch.manual_seed(0)
    spot = torch.zeros(64, 1, 28, 28)
    spot[:, :, 14, 14] = 1
    moved = augment(spot, Augment(translate=2.0, elastic=0.5)).flatten(1).argmax(1)
    rows, columns = moved // 28 - 14, moved % 28 - 14
    assert rows.abs().max() <= 5 and columns.abs().max() <= 5
    assert rows.unique().numel() > 2 and columns.unique().numel() > 2
