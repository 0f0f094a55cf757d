"""One run of a comparison: an arm with a seed is trained, then measured once on the test set."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo.compare.design import Arm
from zoo.compare.pairing import paired_model
from zoo.training.checkpoint import load_checkpoint, save_checkpoint
from zoo.training.data import Images, TrainingData
from zoo.training.loop import VALIDATION_BATCH, Trainer
from zoo.training.objective import CrossEntropy
from zoo.training.recipe import Recipe

SAVE_EVERY = 60.0  # seconds
HELD_OUT = 1000  # so many of the held-out images are measured, for the curve: nothing is chosen


@dataclass(frozen=True, slots=True)
class Loaded:
    """The images of a comparison, read once for all its runs.

    Attributes:
        training: what is trained on, and the part of the training images that is held out.
        test: what each run is measured on, once, at its end.
        normalise: the mean and the standard deviation of each channel.
    """

    training: TrainingData
    test: Images
    normalise: tuple[tuple[float, ...], ...]


def run(
    recipe: Recipe, arm: Arm, seed: int, data: Loaded, checkpoint: Path, device: str = "cpu"
) -> dict[str, Any]:
    """Train and measure one arm with one seed, going on from the checkpoint if there is one.

    Every step draws its random numbers from the seed and its own number, so that the order and the
    distortions of images are the same in each arm, and a resumed run ends as any other.
    """
    recipe = replace(recipe, seed=seed)
    model = paired_model(recipe, arm, seed)
    trainer = Trainer(
        recipe, model, CrossEntropy(model, **recipe.objective), data.training.train,
        data.training.held_out[:HELD_OUT], normalise=data.normalise, device=device,
    )  # fmt: skip
    cpu = _train(trainer, checkpoint, f"{recipe.digest} {arm!r}")
    errors = measured(trainer, data.test)
    last = trainer.curve[-1]
    return {
        "arm": arm.label, "seed": seed, "accuracy": round(100 - errors, 4),
        "held_out": round(100 - last["val_error"], 4) if "val_error" in last else None,
        "train_loss": round(last["loss"], 5), "steps": trainer.step,
        "seconds": round(trainer.seconds, 1), "cpu_seconds": round(cpu, 1),
        "parameters": sum(p.numel() for p in model.parameters()),
        "sites": list(model.zoo.sites),  # pyright: ignore[reportAttributeAccessIssue]
    }  # fmt: skip


def _train(trainer: Trainer, checkpoint: Path, digest: str) -> float:
    """Train to the end; the processor's seconds that this took, earlier calls included."""
    cpu = 0.0
    if checkpoint.exists():
        state = load_checkpoint(checkpoint, digest)
        trainer.load_state_dict(state["trainer"])
        cpu = state["cpu"]
    start, saved = time.process_time() - cpu, time.monotonic()
    for _ in _steps(trainer):
        if time.monotonic() - saved > SAVE_EVERY:
            spent = time.process_time() - start
            save_checkpoint(checkpoint, digest, {"trainer": trainer.state_dict(), "cpu": spent})
            saved = time.monotonic()
    return time.process_time() - start


def _steps(trainer: Trainer) -> Iterator[int]:
    steps = trainer.run()
    while trainer.step < trainer.total_steps:
        torch.manual_seed(trainer.recipe.seed * 1_000_003 + trainer.step)
        next(steps)
        yield trainer.step


@torch.inference_mode()
def measured(trainer: Trainer, images: Images) -> float:
    """The share of images that the trained (or averaged) weights get wrong, in per cent."""
    model: nn.Module = trainer.averaged.eval()
    wrong = 0.0
    for chosen in torch.arange(len(images)).split(VALIDATION_BATCH):
        batch = images[chosen].to(trainer.device)
        pixels = (batch.images.float() / 255 - trainer.mean) / trainer.std
        pixels = pixels.contiguous(memory_format=trainer.format)
        wrong += float(trainer.objective.wrong(model, pixels, batch.labels)["val_error"])
    return 100 * wrong / len(images)
