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
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from zoo.build.create import create_model
from zoo.errors import CheckpointError, DataError, OptionError, RecipeError
from zoo.registry import default_registry
from zoo.registry.targets import resolve
from zoo.runtime.files import write_atomically
from zoo.runtime.processes import Processes, join
from zoo.training.checkpoint import load_checkpoint, save_checkpoint
from zoo.training.data import TrainingData, training_data
from zoo.training.loop import Trainer
from zoo.training.objective import CrossEntropy, build_objective
from zoo.training.recipe import Recipe
from zoo.training.run_folder import CHECKPOINT, CURVE, WEIGHTS
from zoo.training.stop import stop_requests
from zoo.weights.model_file import metadata_of

SAVE_EVERY = 60.0  # seconds; each end of an epoch is saved too

Report = Callable[[Trainer, dict[str, float]], None]


def train(
    recipe: Recipe,
    out: Path,
    *,
    data: Path | None = None,
    device: str = "cpu",
    limit_steps: int | None = None,
    report: Report | None = None,
) -> Trainer:
    """Train `recipe` into the folder `out`, going on from the checkpoint there if there is one.

    A run that was killed and resumed ends like one that was not. It writes `checkpoint.pt`,
    `curve.csv` (one row for each epoch) and `model.safetensors` (the averaged weights), each as a
    whole. Under `torchrun` or `accelerate launch` the processes share each batch, and the first one
    writes.

    Args:
        data: the folder with the training files. None is where the data set looks by itself.
        limit_steps: stop after so many steps of this call; the run can be resumed.
        report: called after each step with the trainer and what is known.

    Raises:
        KeyboardInterrupt: the run was told to stop (Ctrl-C, SIGTERM). The step was finished and
            saved.
    """
    _check_folder(out)
    processes = join(_device(device))
    path = out / CHECKPOINT
    state = load_checkpoint(path, recipe.digest) if path.exists() else None  # before slow data
    trainer = _trainer(recipe, data, processes)
    metadata_of(trainer.model)  # what cannot be stated of a file is refused before the work
    if state:
        trainer.load_state_dict(state)
    stopped = _loop(trainer, out, limit_steps, None if processes.rank else report)
    if not processes.rank:
        _save(trainer, out)
    if stopped:
        raise KeyboardInterrupt(f"stopped at step {trainer.step} of {trainer.total_steps}, saved")
    return trainer


def _loop(trainer: Trainer, out: Path, limit: int | None, report: Report | None) -> bool:
    """Train, save now and then, report; whether it was told to stop before the end."""
    saved = time.monotonic()
    with stop_requests() as asked:
        for row in trainer.run(limit):
            due = "epoch" in row or time.monotonic() - saved > SAVE_EVERY
            if due and not trainer.processes.rank:
                _save(trainer, out)
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


def _trainer(recipe: Recipe, data: Path | None, processes: Processes) -> Trainer:
    torch.manual_seed(recipe.seed)
    model, spec = _build(recipe)
    objective = _objective(recipe, model, spec.objective if spec else "")
    found = training_data(recipe, data)
    if len(found.train) < recipe.batch_size:
        raise RecipeError(
            f"batch_size = {recipe.batch_size} is more than {len(found.train)} images"
        )
    _check_fit(recipe.data.name, found, model)
    return Trainer(
        recipe,
        model,
        objective,
        found.train,
        found.held_out,
        normalise=_normalisation(model, found.channels),
        device=processes.device,
        processes=processes,
    )


def _build(recipe: Recipe) -> tuple[nn.Module, Any]:

    spec = default_registry().models.get(recipe.model)
    # Training is for the model's own classes, whatever those of the weights it starts from.
    classes = {k: v for k, v in (spec.defaults if spec else {}).items() if k == "num_classes"}
    options = {**classes, **recipe.model_options}
    return create_model(recipe.model, weights=recipe.weights or None, **options), spec


def _objective(recipe: Recipe, model: nn.Module, target: str) -> Any:

    build = resolve(target, f"model {recipe.model!r}") if target else CrossEntropy
    try:
        return build_objective(build, model, recipe.objective)
    except (TypeError, OptionError) as error:
        raise RecipeError(f"objective: {error}", where=f"recipe of {recipe.model}") from error


def _check_fit(name: str, found: TrainingData, model: nn.Module) -> None:
    """Refuse images whose channels or classes are not the model's."""
    channels = found.channels
    settings = getattr(model, "pretrained_cfg", None) or {}
    wanted = getattr(model, "in_chans", settings.get("input_size", (channels,))[0])
    if wanted != channels:
        raise DataError(
            f"the images of {name} have {channels} channels, the model takes {wanted}",
            remedy=f"model_options.in_chans = {channels}",
        )
    classes, known = found.num_classes, getattr(model, "num_classes", None)
    if known is not None and known < classes:
        raise DataError(
            f"{name} has {classes} classes, the model {known}",
            remedy=f"model_options.num_classes = {classes}",
        )


def _normalisation(model: nn.Module, channels: int) -> tuple[tuple[float, ...], ...]:
    """The model's mean and std; for another number of channels, their average in each."""
    settings = getattr(model, "pretrained_cfg", None) or {}
    stated = settings.get("mean", (0.0,)), settings.get("std", (1.0,))
    return tuple(
        tuple(values) if len(values) == channels else (sum(values) / len(values),) * channels
        for values in stated
    )


def _save(trainer: Trainer, out: Path) -> None:
    """Weights and curve first: a checkpoint never claims more than what lies beside it.

    Raises:
        CheckpointError: a file cannot be written (a full disk); the last whole ones stay.
    """
    try:
        write_atomically(
            out / WEIGHTS, to_safetensors(_weights(trainer), metadata_of(trainer.model))
        )
        write_atomically(out / CURVE, _csv(trainer.curve))
        save_checkpoint(out / CHECKPOINT, trainer.recipe.digest, trainer.state_dict())
    except OSError as error:
        raise CheckpointError(
            f"step {trainer.step} cannot be saved: {error.strerror or error}",
            where=str(out),
            remedy="make room and call again: the run goes on from its last checkpoint",
        ) from error


def _weights(trainer: Trainer) -> dict[str, Tensor]:
    state = trainer.averaged.state_dict()
    if trainer.recipe.save_half:
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    return {k: v.detach().cpu().contiguous() for k, v in state.items()}


def _csv(rows: list[dict[str, float]]) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in rows)
    return text.getvalue().encode()
