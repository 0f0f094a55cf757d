"""Checkpoints: a damaged or foreign one is refused, and the last good one is never lost."""

from __future__ import annotations

import errno
import os
import resource
from functools import partial
from pathlib import Path

import pytest
import torch
import warm
from small_run import RECIPE, assert_same_result, command

from zoo.errors import CheckpointError, RecipeError
from zoo.recipes import read_recipe
from zoo.runtime.files import write_atomically
from zoo.training import run as training
from zoo.training.checkpoint import load_checkpoint, save_checkpoint


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


def test_a_checkpoint_is_refused_before_data_are_read(recipe, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / training.CHECKPOINT).write_bytes(b"half")
    with pytest.raises(CheckpointError):
        training.train(read_recipe(recipe), tmp_path / "out", data=tmp_path / "absent")


def test_checkpoints_hold_data_only(tmp_path):
    save_checkpoint(tmp_path / "c", "digest", {"step": 1})
    assert load_checkpoint(tmp_path / "c", "digest") == {"step": 1}
    torch.save({"format": 1, "recipe": "digest", "state": Path("x")}, tmp_path / "code")
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "code", "digest")


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


def test_a_folder_that_cannot_be_is_refused_before_data_are_read(recipe, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match="file"):
        training.train(read_recipe(recipe), tmp_path / "file" / "out", data=tmp_path / "absent")


@pytest.mark.long
def test_a_full_disk_is_one_error_and_the_last_checkpoint_stays(
    recipe, data, uninterrupted, tmp_path
):
    """A limit on the size of files stands for the full disk: writes fail half-way, as there."""
    out = tmp_path / "out"
    env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    warm.run(command(recipe, out, data, "--limit-steps", "3"), env=env, check=True)
    before = (out / training.CHECKPOINT).read_bytes()
    room = len(before) // 2
    assert room > (out / training.WEIGHTS).stat().st_size
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (room, room))
    failed = warm.run(command(recipe, out, data), env=env, before=limit)
    assert failed.returncode == 1 and "Traceback" not in failed.stderr
    assert "cannot be saved: File too large" in failed.stderr and str(out) in failed.stderr
    assert (out / training.CHECKPOINT).read_bytes() == before
    assert not list(out.glob(".*.tmp"))
    warm.run(command(recipe, out, data), env=env, check=True)
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


def test_a_diverging_run_stops_and_keeps_its_last_good_checkpoint(recipe, data, tmp_path):
    recipe.write_text(RECIPE.replace("lr = 3e-3", "lr = 1e30").replace("clip_norm = 5.0", ""))
    settings, out = read_recipe(recipe), tmp_path / "out"
    training.train(settings, out, data=data, limit_steps=1)
    before = (out / training.CHECKPOINT).read_bytes()
    with pytest.raises(RecipeError, match="no longer finite"):
        training.train(settings, out, data=data)
    assert (out / training.CHECKPOINT).read_bytes() == before
