"""A data set that the library `datasets` wrote with `save_to_disk`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from PIL import Image

from zoo.data.splits import choose
from zoo.errors import DataError

_LABELS = ("label", "labels", "fine_label", "class", "target")


class Arrow:
    """Rows of a `datasets.Dataset`: items are (PIL image, class index).

    The images are in the column whose feature is `Image`, the labels in that of a `ClassLabel`, or
    in a column of whole numbers that is called `label`. Files stay mapped and are not read whole.

    Args:
        root: the folder of a `DatasetDict`, whose splits `split` chooses from, or of a `Dataset`,
            which is a split if it says so.

    Raises:
        DataError: the library is not installed, the folder cannot be read, there is no such split,
        or there are no images or no labels.
    """

    def __init__(self, root: str | os.PathLike[str], split: str | None = None) -> None:
        root = Path(root).expanduser()
        self.name = root.resolve().name
        found = _load(root)
        several = isinstance(found, dict)
        there = tuple(found) if several else tuple(filter(None, [str(found.split or "")]))
        self.split = choose(there, split, root) if there or split else ""
        found = found[self.split] if several else found
        self._rows: Any = found
        kinds = {name: type(feature).__name__ for name, feature in found.features.items()}
        self._image = _column([n for n, kind in kinds.items() if kind == "Image"], "image", root)
        labels = [n for n, kind in kinds.items() if kind == "ClassLabel"]
        self._label = _column(labels or [n for n in _LABELS if n in kinds], "label", root)
        self.labels = [int(label) for label in found[self._label]]
        names = getattr(found.features[self._label], "names", None) or []
        self.class_names = dict(enumerate(names))
        self.num_classes: int | None = len(names) or max(self.labels, default=-1) + 1

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        image = self._rows[index][self._image]
        if image is None:
            raise DataError("the row holds no image")
        return image, self.labels[index]

    def describe(self, index: int) -> str:
        return f"row {index}"


def _load(root: Path) -> Any:
    try:
        from datasets import load_from_disk
    except ImportError as error:
        raise DataError(
            "the library datasets is not installed",
            where=str(root),
            remedy="pip install 'attention-zoo[train]'",
        ) from error
    try:
        return load_from_disk(str(root))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"cannot be read: {error}", where=str(root)) from error


def _column(names: list[str], what: str, root: Path) -> str:
    if not names:
        raise DataError(f"there is no column of {what}s", where=str(root))
    return names[0]
