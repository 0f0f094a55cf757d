"""What a comparison would train on and measure, and whether every arm works, before it starts."""

from __future__ import annotations

import time
from dataclasses import dataclass

from torch import nn

from zoo.compare.design import Comparison
from zoo.compare.fitting import built
from zoo.compare.measuring import measured_on
from zoo.compare.pairing import arm_recipe
from zoo.compare.runner import Where
from zoo.errors import DataError, UsageError
from zoo.feeding.feed import InMemory
from zoo.runtime.processes import join
from zoo.training.loop import Trainer
from zoo.training.prepare import Prepared, prepare


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The plain backbone's run, ready to start, and the models of all arms.

    Attributes:
        trainer: of the plain backbone.
        split, images: the name and the number of the images that runs are measured on.
        size: (C, H, W) of an image.
        models: the model of each arm that works, by its label.
        unfit: why the others do not.
        seconds: what reading the data and building the plain backbone took.
    """

    trainer: Trainer
    split: str
    images: int
    size: tuple[int, ...]
    models: dict[str, nn.Module]
    unfit: dict[str, str]
    seconds: float


def look(comparison: Comparison, where: Where, device: str) -> Look:
    """Open the data, prepare the plain backbone's first run, and try every arm.

    Raises:
        ZooError: of the data (unreadable, one class, nothing to measure on), or of the backbone.
    """
    recipe, start = comparison.recipe, time.perf_counter()
    processes = join(device)
    if processes.count > 1:
        raise UsageError(
            "zoo compare starts the processes that it needs itself",
            remedy="call it without torchrun, with --device for each device",
        )
    plain = arm_recipe(recipe, comparison.everything[0], recipe.seed)
    prepared = prepare(plain, where.data, processes, where.workers)
    _check_classes(prepared, recipe.data.name)
    split, images = measured_on(prepared, recipe, where.data)
    seconds = time.perf_counter() - start
    size = tuple(next(iter(prepared.trainer.feed.batches(0, 1))).images.shape[1:])
    classes = len(prepared.data.classes) if prepared.data else None
    models, unfit = built(recipe, comparison.everything, size, classes)
    return Look(
        trainer=prepared.trainer, split=split, images=len(images), size=size, models=models,
        unfit=unfit, seconds=seconds,
    )  # fmt: skip


def _check_classes(prepared: Prepared, name: str) -> None:
    """Refuse one class alone. Images that are streamed were checked when they were opened."""
    feed = prepared.trainer.feed
    labels = getattr(feed.source, "labels", None) if isinstance(feed, InMemory) else None
    if labels is not None and labels.ndim == 1 and len(labels.unique()) < 2:
        raise DataError(
            f"every image of {name} has the same class, so that nothing can be compared",
            remedy="images of at least two classes",
        )
