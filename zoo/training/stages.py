"""Running a recipe's stages one after the other in one folder. It can be stopped at any step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.recipes import Recipe, StagedRecipe
from zoo.training.loop import Trainer
from zoo.training.run import Report, train
from zoo.training.run_folder import CHECKPOINT, WEIGHTS
from zoo.training.start import Start

Reporting = Callable[[int, Path], AbstractContextManager[Report | None]]


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a run is: the trainer of the stage that it is in, the number of that stage, from 1,
    of how many, and the folder of the stage.
    """

    trainer: Trainer
    stage: int
    stages: int
    folder: Path


def train_stages(
    recipe: StagedRecipe,
    out: Path,
    *,
    data: Path | None = None,
    device: str = "cpu",
    workers: int | None = None,
    limit_steps: int | None = None,
    reporting: Reporting = lambda stage, folder: nullcontext(),
) -> Reached:
    """Train a recipe into the folder `out`, going on from where a run of it stopped there.

    The last stage is a run in `out` itself, which is what `zoo.training.run.train` writes. The
    stages before lie in `out/stage1`, `out/stage2`, ..., each a run of its own, whose weights are
    float32 even where the recipe says `save_half`. The outcome does not depend on where a run was
    stopped.

    Args:
        data, device, workers: as for `train`.
        limit_steps: stop after so many steps of this call, of all stages together.
        reporting: called with the number of each stage that is run, and its folder. It gives a
            context whose value is the `report` of `train`.

    Raises:
        CheckpointError: `out` holds a run of another recipe. It raises as `train` does, too.
    """
    count, start, left = len(recipe.stages), None, limit_steps
    folders = [out / f"stage{number}" for number in range(1, count)] + [out]
    for number, (stage, folder) in enumerate(zip(recipe.stages, folders, strict=True), 1):
        last = number == count
        if last or not _begun(folders[number:]):
            with reporting(number, folder) as report:
                trainer = _train(
                    replace(stage, save_half=stage.save_half and last), folder, number, count,
                    data=data, device=device, workers=workers, limit_steps=left, report=report,
                    text=recipe.text if last else None, start=start,
                )  # fmt: skip
            trainer.processes.gather(number)  # the others wait until the weights are written
            left = None if left is None else left - trainer.taken
            if last or left == 0 or trainer.step < trainer.total_steps:
                return Reached(trainer, number, count, folder)
        start = Start.of(folder / WEIGHTS, stage, start)
    raise AssertionError("a recipe has a last stage")


def _begun(folders: list[Path]) -> bool:
    """Whether a later stage has begun, so that what came before it is done."""
    return any((folder / CHECKPOINT).exists() for folder in folders)


def _train(stage: Recipe, folder: Path, number: int, count: int, **settings: Any) -> Trainer:
    """Train one stage; a request to stop says in which stage it was heard."""
    try:
        return train(stage, folder, **settings)
    except KeyboardInterrupt as stop:
        if not stop.args or count == 1:
            raise
        raise KeyboardInterrupt(f"stage {number} of {count}: {stop}") from None
