"""Recipes of several stages: what they mean, and that a run can be stopped at any step of any."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from small_run import RECIPE, assert_same_result, command

import zoo
from zoo.cli import cli
from zoo.errors import CheckpointError, RecipeError
from zoo.publish.source import open_source
from zoo.recipes import read_recipe, read_staged
from zoo.recipes.staged import parse_staged
from zoo.training import run as training
from zoo.training.stages import train_stages

STAGED = (
    RECIPE.replace("epochs = 4", "save_half = true").replace("seed = 3", "")
    + """
[[stages]]
epochs = 2
seed = 3
notes = "first"

[[stages]]
epochs = 1
seed = 4
optimizer = { lr = 1e-3 }
objective = { std = [0.1, 0.1] }
"""
)
STEPS = 10  # of an epoch: 320 images in batches of 32


@pytest.fixture(scope="module")
def staged(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "two.toml"
    path.write_text(STAGED)
    return path


@pytest.fixture(scope="module")
def whole(staged, data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    reached = train_stages(read_staged(staged), out, data=data)
    assert (reached.stage, reached.stages, reached.folder) == (2, 2, out)
    assert reached.trainer.step == reached.trainer.total_steps == STEPS
    return out


def by_hand(data: Path, folder: Path) -> Path:
    """The same as two recipes of one stage, the second of which names the file of the first."""
    first = RECIPE.replace("epochs = 4", "epochs = 2")
    second = RECIPE.replace("epochs = 4", "epochs = 1\nsave_half = true").replace(
        "lr = 3e-3", "lr = 1e-3"
    )
    second = second.replace("seed = 3", f'seed = 4\nweights = "{folder / "a" / training.WEIGHTS}"')
    second = second.replace("std = [0.2, 0.1]", "std = [0.1, 0.1]")
    for name, text in (("a", first), ("b", second)):
        path = folder / f"{name}.toml"
        path.write_text(text)
        training.train(read_recipe(path), folder / name, data=data)
    return folder / "b"


def test_stages_are_recipes_that_are_run_one_after_the_other(whole, data, tmp_path):
    assert_same_result(whole, by_hand(data, tmp_path))
    first = load_file(whole / "stage1" / training.WEIGHTS)
    assert {t.dtype for t in first.values() if t.is_floating_point()} == {torch.float32}


@pytest.mark.parametrize("steps", [7, STEPS * 2, STEPS * 2 + 3])
def test_a_run_stopped_in_any_stage_ends_like_one_that_was_not(
    steps, staged, data, whole, tmp_path
):
    recipe, out = read_staged(staged), tmp_path / "out"
    reached = train_stages(recipe, out, data=data, limit_steps=steps)
    assert reached.stage == (1 if steps <= STEPS * 2 else 2)
    assert reached.trainer.step == steps - (reached.stage - 1) * STEPS * 2
    assert train_stages(recipe, out, data=data).trainer.taken == min(STEPS, 3 * STEPS - steps)
    assert_same_result(out, whole)
    assert_same_result(out / "stage1", whole / "stage1")


def test_a_finished_stage_is_not_opened_again(staged, data, whole, tmp_path):
    out = shutil.copytree(whole, tmp_path / "out")
    (out / "stage1" / training.CHECKPOINT).write_bytes(b"damaged")
    assert train_stages(read_staged(staged), out, data=data).trainer.taken == 0


@pytest.mark.parametrize("old, new", [("epochs = 2", "epochs = 3"), ("seed = 4", "seed = 5")])
def test_a_run_of_other_stages_is_refused(old, new, whole, data):
    other = parse_staged(STAGED.replace(old, new).encode(), "other", "other.toml")
    with pytest.raises(CheckpointError, match="another recipe"):
        train_stages(other, whole, data=data)


def test_a_run_of_the_first_stage_alone_is_not_taken_for_the_last(staged, data, tmp_path):
    """Before there were stages, the folder of the run had the first stage's checkpoint."""
    recipe = read_staged(staged)
    training.train(recipe.stages[0], tmp_path, data=data, limit_steps=1)
    with pytest.raises(CheckpointError, match="another recipe"):
        train_stages(recipe, tmp_path, data=data)


def test_the_folder_is_a_model_with_the_whole_recipe(whole, staged):
    assert (whole / training.RECIPE).read_bytes() == staged.read_bytes()
    model = zoo.create_model(str(whole))
    assert (model.zoo.name, model.num_glimpses) == ("ram_mnist", 3)
    with open_source(str(whole)) as source:
        assert source.recipe == STAGED and source.data == "mnist"


def test_the_command_says_in_which_stage_it_is(staged, data, tmp_path):
    call = command(staged, tmp_path / "out", data, "--json", "--limit-steps", "23")[2:]
    done = CliRunner().invoke(cli, call, catch_exceptions=False)
    said = json.loads(done.stdout)
    assert (said["stage"], said["stages"], said["step"]) == (2, 2, 3)
    assert "stage 1 of 2: " in done.stderr and "stage 2 of 2: " in done.stderr


@pytest.mark.slow
def test_two_processes_train_stages_and_resume(staged, data, tmp_path):
    """The second process waits for the weights that the first writes between two stages."""
    call = command(staged, tmp_path / "out", data)
    several = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *call]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for more in (["--limit-steps", "7"], []):
        subprocess.run([*several, *more], env=environment, check=True, capture_output=True)
    recipe = read_staged(staged)
    assert train_stages(recipe, tmp_path / "out", data=data).trainer.taken == 0


def test_a_stage_says_what_differs_key_by_key():
    first, second = parse_staged(STAGED.encode(), "two", "two.toml").stages
    assert (first.optimizer.lr, second.optimizer.lr) == (3e-3, 1e-3)
    assert first.optimizer.clip_norm == second.optimizer.clip_norm == 5.0
    assert (first.seed, second.seed, first.notes, second.notes) == (3, 4, "first", "")
    assert replace(second, epochs=2, seed=3, notes="first", optimizer=first.optimizer,
                   objective=first.objective) == first  # fmt: skip


def test_only_the_first_stage_starts_from_what_the_recipe_names():
    text = f'weights = "zoo_mnist"\n{STAGED}'
    assert [s.weights for s in parse_staged(text.encode(), "x", "x").stages] == ["zoo_mnist", ""]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (STAGED.replace("seed = 4", 'weights = "a"'), "weights is not for a stage .*\n.*stage 2"),
        (STAGED.replace("seed = 4", "pretrained = true"), "pretrained is not for a stage"),
        (STAGED.replace("seed = 4", "sed = 4"), "unknown key sed\n.*stage 2"),
        (STAGED.replace("epochs = 1", ""), "missing key epochs\n.*stage 2"),
        (STAGED.replace("epochs = 2", "epochs = 0"), "epochs = 0 .*\n.*stage 1"),
        (f"stages = 3\n{RECIPE}", "stages is not a list of tables"),
        (f"stages = [3]\n{RECIPE}", "stages is not a list of tables"),
        (f"stages = []\n{RECIPE}", "stages is empty"),
    ],
)
def test_wrong_stages_are_one_clear_error(text, named):
    with pytest.raises(RecipeError, match=named):
        parse_staged(text.encode(), "x", "x.toml")


def test_where_one_stage_is_needed_several_are_refused(staged, tmp_path):
    with pytest.raises(RecipeError, match="has stages"):
        read_recipe(staged)
    with pytest.raises(RecipeError, match="has 2 stages"):
        read_staged(staged).single()
    call = ["compare", "--attentions", "se", "--recipe", str(staged), "--out", str(tmp_path)]
    assert isinstance(CliRunner().invoke(cli, call).exception, RecipeError)
