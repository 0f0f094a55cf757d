"""A run from recipe to weights: killed, stopped and resumed, it ends as one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import warm
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from small_run import RECIPE, assert_same_result, command, read_curve

import zoo
from zoo.cli import cli
from zoo.errors import RecipeError
from zoo.feeding.order import part
from zoo.recipes import read_recipe
from zoo.runtime.processes import Processes
from zoo.training import run as training
from zoo.training.checkpoint import load_checkpoint
from zoo.training.prepare import build_model
from zoo.training.shared import check_parts
from zoo.training.stop import stop_requests


@pytest.mark.long
def test_a_killed_process_resumes_to_the_same_result(recipe, data, uninterrupted, tmp_path):
    out = tmp_path / "out"
    env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    call = [sys.executable, *command(recipe, out, data)]
    process = subprocess.Popen(call, env=env, stderr=subprocess.DEVNULL)
    while not (out / training.CHECKPOINT).exists():
        assert process.poll() is None, "it ended before its first checkpoint"
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    step = load_checkpoint(out / training.CHECKPOINT, read_recipe(recipe).digest)["step"]
    assert 0 < step
    warm.run(command(recipe, out, data), env=env, check=True)
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


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_in_its_first_epoch_it_saves_and_resumes(
    recipe, data, uninterrupted, tmp_path, number
):
    out = tmp_path / "out"
    env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    call = [sys.executable, *command(recipe, out, data)]
    with subprocess.Popen(call, env=env, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"step 1 of 40  loss "), "before an epoch"
        process.send_signal(number)
        said = process.stderr.read().decode()
    assert process.returncode == 130 and "Traceback" not in said
    step = load_checkpoint(out / training.CHECKPOINT, read_recipe(recipe).digest)["step"]
    assert f"stopped at step {step} of 40, saved" in said
    assert (out / "recipe.toml").read_bytes() == recipe.read_bytes()
    training.train(read_recipe(recipe), out, data=data)
    assert_same_result(out, uninterrupted)


def test_the_callers_handlers_are_put_back():
    former = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    try:
        with stop_requests() as asked:
            assert not asked()
            signal.raise_signal(signal.SIGINT)
            assert asked()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, former)


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


def test_what_half_precision_cannot_hold_stays_whole(recipe, uninterrupted, data, tmp_path):
    weights = load_file(uninterrupted / training.WEIGHTS)
    large = "baseline.bias"
    weights[large].fill_(1e6)
    save_file(weights, tmp_path / "large.safetensors")
    text = f'weights = "{tmp_path / "large.safetensors"}"\nsave_half = true\n' + RECIPE
    recipe.write_text(text.replace("lr = 3e-3", "lr = 1e-12"))
    training.train(read_recipe(recipe), tmp_path / "out", data=data, limit_steps=1)
    half = load_file(tmp_path / "out" / training.WEIGHTS)
    assert half[large] == 1e6
    assert {v.dtype for k, v in half.items() if k != large} == {torch.float16}


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
    assert result.stderr.startswith("step 1 of 40  loss ")


def test_any_model_trains_by_cross_entropy(data, tmp_path):
    path = tmp_path / "plain.toml"
    path.write_text(
        'model = "resnet18"\nepochs = 1\nbatch_size = 4\n[data]\nname = "mnist"\nholdout = 350\n'
        "[optimizer]\nlr = 1e-3\n[model_options]\nin_chans = 1\nnum_classes = 10\n"
        "[objective]\nlabel_smoothing = 0.1\n"
    )
    trainer = training.train(read_recipe(path), tmp_path / "out", data=data)
    assert trainer.step == 2 and "val_error" in trainer.curve[-1]


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
                *command(recipe, out, data, *limits),
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
        check_parts(32, 1, Processes(0, 3, torch.device("cpu")))
    index = torch.arange(6)
    assert part(index, Processes(1, 2, torch.device("cpu"))).tolist() == [1, 3, 5]


def test_the_file_of_a_run_says_what_it_is(uninterrupted):
    """Options that are not the model's own need not be repeated: the glimpses, the width."""
    file = uninterrupted / training.WEIGHTS
    model = zoo.create_model("ram_mnist", weights=file)
    assert model.num_glimpses == 3 and model.zoo.untrained == ()
    assert all(torch.equal(model.state_dict()[k], v) for k, v in load_file(file).items())
    other = zoo.create_model("ram_mnist", weights=file, num_glimpses=5)
    assert other.num_glimpses == 5


def test_a_run_from_other_weights_keeps_the_classes_of_its_model(tmp_path):
    """A curriculum starts from weights of another task; the classifier is the new model's."""
    model = zoo.create_model("dram_mnist_pairs")
    file = zoo.save_model(model, tmp_path / "pairs.safetensors")
    text = RECIPE.replace("ram_mnist", "dram_mnist_addition").partition("[model_options]")[0]
    (tmp_path / "r.toml").write_text(f'weights = "{file}"\n{text}')
    built, _ = build_model(read_recipe(tmp_path / "r.toml"))
    assert built.num_classes == zoo.create_model("dram_mnist_addition").num_classes
    assert built.zoo.untrained == ("classifier",)
