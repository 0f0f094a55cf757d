"""What the runs of a comparison are measured on: images that no choice was made with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.data.splits import split_kind
from zoo.errors import DataError, SplitNotFoundError
from zoo.feeding.data import Images, TrainingData, training_data
from zoo.feeding.feed import HeldOut
from zoo.feeding.opened import OpenedData, open_for_training
from zoo.feeding.photographs import Plain, StreamedHeldOut
from zoo.recipes import Data, Recipe
from zoo.training.prepare import Prepared


@dataclass(frozen=True, slots=True)
class Nothing:
    """No held-out images: nothing is measured while a run trains."""

    def __len__(self) -> int:
        return 0

    def batches(self) -> Iterator[Images]:
        return iter(())


@dataclass(frozen=True, slots=True)
class Memory:
    """Images that are held in memory, read once for all runs of a process.

    Attributes:
        training: those that are trained on, and those that are held out.
        test: those of the test split, if there is one.
    """

    training: TrainingData
    test: Images | None


def read_once(recipe: Recipe, root: Path | None) -> Memory | None:
    """The images of all runs, if they are the same with every seed and are held in memory."""
    if recipe.images is not None or recipe.data.label_noise:
        return None
    found = training_data(recipe, root)
    return Memory(found, _test_images(recipe, root)) if isinstance(found.train, Images) else None


def measured_on(
    prepared: Prepared, recipe: Recipe, root: Path | None, memory: Memory | None = None
) -> tuple[str, HeldOut]:
    """Which images a run is measured on, once, at its end: their name, and they.

    Those are the test split if there is one. Else they are the validation split, or the part of the
    training images that the recipe holds out, with which nothing may then be chosen.

    Raises:
        DataError: there are no such images, a test split that is there cannot be read, or the
            recipe chooses its weights by them.
    """
    found = memory.test if memory else _test_split(prepared, recipe, root)
    if found is not None:
        return "test", found
    held_out = prepared.trainer.held_out
    if not len(held_out):
        raise DataError(
            f"{recipe.data.name} has no test split, and nothing is held out to be measured on",
            remedy="data.holdout in the recipe, a number of images",
        )
    if recipe.keep == "best":
        raise DataError(
            f"{recipe.data.name} has no test split, and the recipe chooses the best epoch by the "
            "images that would be measured: that flatters every arm, and the luckiest most",
            remedy='keep = "last" in the recipe, or a folder test/ beside train/',
        )
    return (prepared.data.split if prepared.data else "") or "held out", held_out


def _test_split(prepared: Prepared, recipe: Recipe, root: Path | None) -> HeldOut | None:
    if recipe.images is None:
        return _test_images(recipe, root)
    if not (prepared.data and prepared.data.trained):  # without splits, a class may be called test
        return None
    try:
        opened = open_for_training(_all_of_test(recipe), root)
    except SplitNotFoundError:
        return None
    if split_kind(opened.train.items.split) != "test":
        return None
    _check_classes(opened, prepared)
    held: Any = prepared.trainer.held_out
    return StreamedHeldOut(Plain(opened.train, held.dataset.to_pixels), held.workers)


def _test_images(recipe: Recipe, root: Path | None) -> Images | None:
    try:
        found = training_data(replace(recipe, data=_all_of_test(recipe)), root).train
    except SplitNotFoundError:
        return None
    return found if isinstance(found, Images) else None


def _all_of_test(recipe: Recipe) -> Data:
    return replace(recipe.data, splits=["test"], holdout=0, holdout_share=0.0, label_noise=0.0)


def _check_classes(test: OpenedData, prepared: Prepared) -> None:
    assert prepared.data is not None
    if test.classes != prepared.data.classes:
        strange = sorted(set(test.classes) ^ set(prepared.data.classes))
        raise DataError(
            f"the test split has other classes than the training split: {', '.join(strange[:5])}",
            remedy="the same names of class folders in both",
        )
