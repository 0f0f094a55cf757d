"""One run of a comparison: an arm with a seed is trained, then measured once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from zoo.compare.design import Arm
from zoo.compare.measuring import Memory, Nothing, measured_on
from zoo.compare.pairing import arm_recipe, pair
from zoo.feeding.feed import HeldOut
from zoo.recipes import Recipe
from zoo.runtime.model_record import record_of
from zoo.training.loop import Trainer
from zoo.training.prepare import Prepared
from zoo.training.run import Report, train
from zoo.training.run_folder import WEIGHTS


def run(
    recipe: Recipe,
    arm: Arm,
    seed: int,
    out: Path,
    *,
    data: Path | None = None,
    memory: Memory | None = None,
    device: str = "cpu",
    workers: int | None = None,
    report: Report | None = None,
) -> dict[str, Any]:
    """Train an arm with a seed, going on from the checkpoint in `out` if there is one; measure it.

    Args:
        data: the folder with the images. None is where the data set looks by itself.
        memory: the images in memory, if they were read before.

    Raises:
        KeyboardInterrupt: the run was told to stop. The step was finished and saved.
    """
    chosen: list[tuple[str, HeldOut]] = []

    def adjust(prepared: Prepared) -> None:
        pair(prepared, recipe, seed)
        chosen.append(measured_on(prepared, recipe, data, memory))
        if recipe.keep == "last":  # nothing is chosen while it trains
            prepared.trainer.held_out = Nothing()

    trainer = train(
        arm_recipe(recipe, arm, seed), out, data=data, device=device, workers=workers,
        report=report, found=memory.training if memory else None, adjust=adjust,
    )  # fmt: skip
    (split, images), last = chosen[0], trainer.curve[-1]
    return {
        "arm": arm.label,
        "seed": seed,
        "accuracy": round(100 - _error(trainer, images, out), 4),
        "split": split,
        "images": len(images),
        "train_loss": round(last["loss"], 5),
        "steps": trainer.step,
        "seconds": round(trainer.seconds, 1),
        "sites": list(record_of(trainer.model).sites),  # pyright: ignore[reportOptionalMemberAccess]
    }


def _error(trainer: Trainer, images: HeldOut, out: Path) -> float:
    """The share of images that the run's weights get wrong, in per cent."""
    if trainer.recipe.keep == "best":
        trainer.averaged.load_state_dict(load_file(out / WEIGHTS))
    trainer.held_out = images
    return trainer.validate()["val_error"]
