"""A training run on disk: a recipe goes in, and a checkpoint, a curve and weights come out."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import CheckpointError, OptionError
from zoo.feeding.data import TrainingData
from zoo.recipes import Recipe, to_toml
from zoo.runtime.files import write_atomically
from zoo.runtime.processes import join
from zoo.training.about import about
from zoo.training.checkpoint import load_checkpoint, save_checkpoint
from zoo.training.loop import Trainer
from zoo.training.prepare import Prepared, prepare
from zoo.training.room import check_room
from zoo.training.run_folder import ABOUT, CHECKPOINT, CURVE, RECIPE, WEIGHTS
from zoo.training.start import Start, run_digest
from zoo.training.stop import stop_requests
from zoo.weights.model_file import metadata_of
from zoo.weights.safetensors_file import to_bytes

SAVE_EVERY = 60.0  # seconds; each end of an epoch is saved too

Report = Callable[[Trainer, dict[str, float]], None]
Adjust = Callable[[Prepared], object]


def train(
    recipe: Recipe,
    out: Path,
    *,
    data: Path | None = None,
    device: str = "cpu",
    workers: int | None = None,
    limit_steps: int | None = None,
    report: Report | None = None,
    text: bytes | None = None,
    found: TrainingData | None = None,
    adjust: Adjust | None = None,
    start: Start | None = None,
) -> Trainer:
    """Train `recipe` into the folder `out`, going on from the checkpoint there if there is one.

    A run that was killed and resumed ends like one that was not. It writes `recipe.toml`,
    `checkpoint.pt`, `curve.csv` (one row for each epoch) and `model.safetensors` (the averaged
    weights, of the last or the best epoch), each as a whole; with images of any size also
    `data.json`, which says what the classes are and which images were held out. Under `torchrun` or
    `accelerate launch` the processes share each batch, and the first one writes.

    Args:
        data: the folder with the training files. None is where the data set looks by itself.
        workers: how many processes decode images of any size; by default one for each core.
        limit_steps: stop after so many steps of this call; the run can be resumed.
        report: called after each step with the trainer and what is known.
        text: the recipe as its file has it; by default it is written anew.
        found: the images in memory, if they were read before.
        adjust: called with what was prepared, before a checkpoint is loaded and the first step is
            taken.
        start: the weights to start from, in place of those that the recipe names.

    Raises:
        KeyboardInterrupt: the run was told to stop (Ctrl-C, SIGTERM). The step was finished and
            saved.
    """
    _check_folder(out)
    processes = join(_device(device))
    path = out / CHECKPOINT
    mark = run_digest(recipe, start)
    state = load_checkpoint(path, mark) if path.exists() else None  # before slow data
    prepared = prepare(recipe, data, processes, workers, found, start)
    if adjust:
        adjust(prepared)
    trainer = prepared.trainer
    metadata_of(trainer.model)  # what cannot be stated of a file is refused before the work
    if state:
        _check_same_data(state, prepared.marks, out)
        trainer.load_state_dict(state)
    if not processes.rank:
        check_room(trainer, out)
        prepared.papers[RECIPE] = text or to_toml(recipe).encode()
        if prepared.data:
            prepared.papers[ABOUT] = about(recipe, trainer.model, prepared.data, data)
    stopped = _loop(prepared, out, limit_steps, None if processes.rank else report)
    if not processes.rank:
        _save(prepared, out)
    if stopped:
        raise KeyboardInterrupt(f"stopped at step {trainer.step} of {trainer.total_steps}, saved")
    return trainer


def _check_same_data(state: dict[str, Any], marks: dict[str, str], out: Path) -> None:
    """A run goes on with the images that it began with: their order and the split are its own.

    Earlier checkpoints do not say all of it.
    """
    if any(state.get(key, now) != now for key, now in marks.items()):
        raise CheckpointError(
            "the data set is not the one that this run began with: other images, classes or labels",
            where=str(out),
            remedy="the data as they were, or another --out for a new run",
        )


def _loop(prepared: Prepared, out: Path, limit: int | None, report: Report | None) -> bool:
    """Train, save now and then, report; whether it was told to stop before the end."""
    trainer, saved = prepared.trainer, time.monotonic()
    with stop_requests() as asked:
        for row in trainer.run(limit):
            due = "epoch" in row or time.monotonic() - saved > SAVE_EVERY
            if due and not trainer.processes.rank:
                _save(prepared, out)
                saved = time.monotonic()
            if report:
                report(trainer, row)
            if asked() and trainer.step < trainer.total_steps:
                return True
    return False


def _check_folder(out: Path) -> None:
    """Before anything is computed, not when the first checkpoint is due; nothing is made yet."""
    there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise CheckpointError(
            f"nothing can be written under {there}",
            where=str(out),
            remedy="a folder for the run that can be written: --out DIR",
        )


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(f"device {name!r} cannot be used: {reason}", remedy="cpu") from error
    return device


def _save(prepared: Prepared, out: Path) -> None:
    """Weights and curve first: a checkpoint never claims more than what lies beside it.

    Raises:
        CheckpointError: a file cannot be written (a full disk); the last whole ones stay.
    """
    trainer = prepared.trainer
    try:
        while prepared.papers:  # once, with the first save: before it nothing is made
            name, content = prepared.papers.popitem()
            write_atomically(out / name, content)
        if trainer.recipe.keep == "last" or trainer.is_best:
            write_atomically(out / WEIGHTS, to_bytes(_weights(trainer), metadata_of(trainer.model)))
        write_atomically(out / CURVE, _csv(trainer.curve))
        state = {**trainer.state_dict(), **prepared.marks}
        save_checkpoint(out / CHECKPOINT, run_digest(trainer.recipe, prepared.start), state)
    except OSError as error:
        raise CheckpointError(
            f"step {trainer.step} cannot be saved: {error.strerror or error}",
            where=str(out),
            remedy="make room and call again: the run goes on from its last checkpoint",
        ) from error


def _weights(trainer: Trainer) -> dict[str, Tensor]:
    state = trainer.averaged.state_dict()
    if trainer.recipe.save_half:
        state = {k: _halved(v) for k, v in state.items()}
    return state


def _halved(tensor: Tensor) -> Tensor:
    """In float16, if it is of real numbers and none of them is beyond its largest."""
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    return half if torch.equal(half.isfinite(), tensor.isfinite()) else tensor


def _csv(rows: list[dict[str, float]]) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in rows)
    return text.getvalue().encode()
