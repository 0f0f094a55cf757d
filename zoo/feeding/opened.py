"""The images that a run trains on and those that it is measured on, with the classes of both."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.data.base import ImageData, Relabelled, describe, known_labels
from zoo.data.folder import ImageFolder, has_splits
from zoo.data.resolve import open_in
from zoo.data.splits import split_kind
from zoo.data.subset import Subset
from zoo.data.vocabulary import by_index
from zoo.errors import DataError, RecipeError, SplitNotFoundError
from zoo.recipes import Data

MOST_CHECKED = 20_000  # files whose headers are read before the first step: some seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedData:
    """What a run trains on and is measured on.

    Attributes:
        train, held_out: the images, with labels 0 to K - 1.
        classes: the names of the K classes.
        drawn: the names of the held-out images, if the split was drawn.
        split: the name of the validation split, if there is one.
        trained: the name of the split that is trained on; empty if there are no splits.
        counts: how many images each class has, those held out too if the split was drawn; empty if
            that is not known.
    """

    train: Subset
    held_out: Subset
    classes: tuple[str, ...]
    drawn: tuple[str, ...] = ()
    split: str = ""
    trained: str = ""
    counts: tuple[int, ...] = ()

    @property
    def digest(self) -> str:
        """Of all that a resumed run must find as it was: the images, their order and classes."""
        content: list[Any] = [self.classes, len(self.train), len(self.held_out), self.drawn]
        content += [_digest(self.train), _digest(self.held_out)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @property
    def files(self) -> str:
        """A digest of the names of the files within their folders; of no names, if there are none.

        Equal numbers of images may be others.
        """
        digest = hashlib.sha256()
        for part in (self.train, self.held_out):
            root = os.fspath(getattr(_folder(part), "root", ""))
            for path in _files(part):
                digest.update(os.fsencode(path.removeprefix(root)) + b"\0")
        return digest.hexdigest()


def _digest(part: Subset) -> str:
    """Of the places of the images, and of their labels if they are known."""
    labels = part.labels
    content = part.places.tobytes() + (b"" if labels is None else labels.tobytes())
    return hashlib.sha256(content).hexdigest()


def open_for_training(settings: Data, root: Path | None) -> OpenedData:
    """Open the training and the validation split, and check them before anything is computed.

    Args:
        root: the folder in which the data set lies. None is where its name leads.

    Raises:
        DataError: it cannot be read, nor can a validation split that is there; a class has no
            images, or there is only one; validation has a class that training lacks; files are no
            images; the folder `train` may be a split or a class.
        RecipeError: too many images are held out.
    """
    parts = [open_in(settings.name, root, split) for split in settings.splits]
    if len(parts) > 1:
        raise RecipeError("with [images], data.splits names one split", where="data.splits")
    whole = parts[0] if parts else _training_split(settings.name, root)
    classes = _classes(whole)
    train = _relabelled(whole, classes, "training")
    counts = _check_classes(train, classes, whole)
    drawn = _drawn(train, settings, tuple(classes.values()))
    validation = None
    if drawn is None and whole.split:
        validation = _validation_split(settings.name, root)
    if drawn is None and validation is None:
        drawn = _stratified(train, settings)
    every = np.arange(len(train))
    if validation is not None:
        held = _relabelled(validation, classes, "validation")
        train_part, held_out = Subset(train, every), Subset(held, np.arange(len(held)))
    else:
        assert drawn is not None
        train_part = Subset(train, np.setdiff1d(every, drawn))
        held_out = Subset(train, drawn)
    _check_files(train_part, held_out)
    names = () if validation is not None else [held_out.describe(i) for i in range(len(held_out))]
    return OpenedData(
        train=train_part, held_out=held_out, classes=tuple(classes.values()), drawn=tuple(names),
        split=validation.split if validation is not None else "", trained=whole.split,
        counts=counts,
    )  # fmt: skip


def _training_split(name: str, root: Path | None) -> ImageData:
    """The split `train`, or all images if there are no splits."""
    try:
        found = open_in(name, root, "train")
    except DataError:
        whole = open_in(name, root, None)
        if whole.split:
            raise
        return whole
    if isinstance(found, ImageFolder) and _may_be_a_class(found.root):
        raise DataError(
            f"is {found.split} a split of the data, or a class as the folders beside it?",
            where=str(found.root.parent),
            remedy=f'data.splits = ["{found.split}"] in the recipe, or another name of the folder',
        )
    return found


def _may_be_a_class(split: Path) -> bool:
    """Whether folders beside that of a split have images, and no other split says what it is."""
    try:
        return not has_splits(split.parent)
    except DataError:  # several splits
        return False


def _validation_split(name: str, root: Path | None) -> ImageData | None:
    """The validation split, if there is one. What some sets give in its place is a test set."""
    try:
        found = open_in(name, root, "validation")
    except SplitNotFoundError:
        return None
    return found if split_kind(found.split) == "validation" else None


def _classes(data: ImageData) -> dict[int, str]:
    """The names of the classes by the label that the data set gives them, in its order."""
    names = by_index(getattr(data, "class_names", None))
    if names:
        return dict(sorted(names.items()))
    labels, count = known_labels(data), data.num_classes
    if count is None and labels is not None:
        count = int(labels.max()) + 1
    if not count:
        raise DataError("nothing says how many classes there are", where=data.name)
    return {index: str(index) for index in range(count)}


def _relabelled(data: ImageData, classes: Mapping[int, str], what: str) -> ImageData:
    """The data set with labels 0 to K - 1, in the order of the training classes, by their names."""
    place = {name: number for number, name in enumerate(classes.values())}
    own = _classes(data)
    strange = [name for name in own.values() if name not in place]
    if strange:
        raise DataError(
            f"{what} has {len(strange)} classes that training lacks: {', '.join(strange[:5])}",
            where=data.name,
            remedy="the same names of class folders in both",
        )
    numbers = {label: place[name] for label, name in own.items()}
    labels = known_labels(data)
    if labels is not None and len(outside := np.flatnonzero(~np.isin(labels, list(numbers)))):
        at = int(outside[0])
        raise DataError(
            f"{describe(data, at)} has label {labels[at]}, which is none of the {len(numbers)} "
            "classes",
            where=data.name,
        )
    return Relabelled(data, numbers, len(classes))


def _check_classes(
    data: ImageData, classes: Mapping[int, str], whole: ImageData
) -> tuple[int, ...]:
    """Refuse one class alone, and a class without images. How many images each class has."""
    names = list(classes.values())
    if len(names) < 2:
        raise DataError(
            f"there is only one class: {names[0]}",
            where=str(getattr(whole, "root", whole.name)),
            remedy="a folder for each of at least two classes: DIR/<class>/*.jpg",
        )
    labels = known_labels(data)
    if labels is None:
        return ()
    counts = np.bincount(labels, minlength=len(names))
    empty = [names[i] for i in np.flatnonzero(counts == 0)]
    if empty:
        raise DataError(
            f"{len(empty)} of {len(names)} classes have no image: {', '.join(empty[:5])}",
            where=str(getattr(whole, "root", whole.name)),
            remedy="remove the empty class folders, or put images into them",
        )
    return tuple(int(n) for n in counts)


def _drawn(data: ImageData, settings: Data, classes: Sequence[str]) -> NDArray[np.int64] | None:
    """The places of `data.holdout` images, if so many are asked for."""
    count = settings.holdout
    assert isinstance(count, int)
    if not count:
        return None
    if count >= len(data):
        raise RecipeError(
            f"data.holdout = {count} leaves none of {len(data)} images to train on",
            remedy=f"less than {len(data)}",
        )
    order = np.random.default_rng(settings.holdout_seed).permutation(len(data))
    labels = known_labels(data)
    left = classes if labels is None else [classes[n] for n in np.unique(labels[order[count:]])]
    if len(left) < len(classes):
        raise RecipeError(
            f"data.holdout = {count} leaves no image to train on of "
            + ", ".join(name for name in classes if name not in left),
            remedy="a smaller number, or data.holdout_share, a share of each class",
        )
    return np.sort(order[:count])


def _stratified(data: ImageData, settings: Data) -> NDArray[np.int64]:
    """The places of a share of each class; at least one image of a class that has two."""
    generator = np.random.default_rng(settings.holdout_seed)
    labels = known_labels(data)
    groups = [np.arange(len(data))] if labels is None else _by_class(labels)
    held = [np.empty(0, np.int64)]
    for group in groups if settings.holdout_share else ():
        count = min(max(1, round(settings.holdout_share * len(group))), len(group) - 1)
        held.append(generator.permutation(group)[:count])
    return np.sort(np.concatenate(held))


def _by_class(labels: NDArray[Any]) -> list[NDArray[np.int64]]:
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _check_files(*parts: Subset) -> None:
    """Refuse files that are no images, where reading their headers costs little."""
    found = [list(_files(part)) for part in parts]
    if sum(map(len, found)) > MOST_CHECKED:
        return
    with ThreadPoolExecutor(8) as pool:
        reasons = pool.map(_problem, [path for part in found for path in part])
        broken = [reason for reason in reasons if reason]
    if broken:
        more = f", and {len(broken) - 5} more" if len(broken) > 5 else ""
        raise DataError(
            f"{len(broken)} files are no images that can be read: {', '.join(broken[:5])}{more}",
            remedy="mend or remove them, and call again",
        )


def _files(part: Subset) -> Iterator[str]:
    """The paths of the images, if they are files of a folder."""
    samples: Sequence[tuple[str, int]] = getattr(_folder(part), "samples", ())
    return (samples[place][0] for place in part.places) if samples else iter(())


def _folder(part: Subset) -> Any:
    """The data set that a part is of, as it was opened."""
    return part.items.items if isinstance(part.items, Relabelled) else part.items


def _problem(path: str) -> str:
    """Why the header of a file cannot be read; empty if it can."""
    try:
        if not os.path.isfile(path):
            return f"{path} (not a regular file)"
        with Image.open(path):
            return ""
    except Exception as error:  # decoders raise whatever they like on broken files
        return f"{path} ({type(error).__name__})"
