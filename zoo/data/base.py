"""What evaluation asks of a data set, and adapters for data sets that know less of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class Items(Protocol):
    """A map-style data set: `data[i]` is (PIL image or uint8 array, class index or several)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Any, Any]: ...


@runtime_checkable
class ImageData(Items, Protocol):
    """Items that know their name, split and number of classes.

    A data set may also have these, which are used where they are there:

    - `labels`: all class indices.
    - `class_names`: what the classes are called, by index.
    - `numbered`: false if the indices are no more than an order of the names.
    - `describe(i)`: what messages call an item.
    - `left_out`: files that are no images.
    - `blocks`: int64 (N,), the number of the block of each item, if the items of a block are read
      together and random access costs much.
    - `in_memory`: true if items cost too little for worker processes.
    """

    name: str
    split: str
    num_classes: int | None


class Adapted:
    """Any map-style data set as `ImageData`."""

    def __init__(
        self, items: Items, *, name: str = "", split: str = "", num_classes: int | None = None
    ) -> None:
        self.items = items
        self.name = name or str(getattr(items, "name", "") or type(items).__name__)
        self.split = split or str(getattr(items, "split", ""))
        self.num_classes = num_classes or _count(items)
        self.class_names, self.numbered = _names(items), True
        self.labels = _labels(items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.items[index]

    def describe(self, index: int) -> str:
        return describe(self.items, index)


class Relabelled:
    """A data set with the classes of the model. `numbers` gives the new index of each old one.

    A label that has none becomes -1, which is no class of any model.
    """

    def __init__(self, items: ImageData, numbers: Mapping[int, int], num_classes: int) -> None:
        self.items, self._numbers = items, numbers
        self.name, self.split = items.name, items.split
        self.num_classes: int | None = num_classes
        self.in_memory = bool(getattr(items, "in_memory", False))
        self.left_out: Sequence[str] = getattr(items, "left_out", ())
        self.blocks: NDArray[np.int64] | None = getattr(items, "blocks", None)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image, label = self.items[index]
        return image, label if np.ndim(label) else self.number(int(label))

    def number(self, label: int) -> int:
        """The new index of an old one; -1 if it has none."""
        return self._numbers.get(label, -1)

    @property
    def labels(self) -> list[int] | None:
        """All class indices, if the data set has them at hand."""
        known = known_labels(self.items)
        return None if known is None else [self._numbers[int(label)] for label in known]

    def describe(self, index: int) -> str:
        return describe(self.items, index)


def describe(items: Items, index: int) -> str:
    """What messages call item `index`: its file, or its number."""
    name = getattr(items, "describe", None)
    return str(name(index)) if callable(name) else f"image {index}"


def known_labels(items: Items) -> NDArray[np.integer[Any]] | None:
    """All class indices (N,), if the data set has them at hand and each image has one."""
    try:
        labels = np.asarray(getattr(items, "labels", None))
    except ValueError:  # sequences of different lengths
        return None
    return labels if labels.ndim == 1 and labels.dtype.kind in "iu" else None


def adapt(items: Items) -> ImageData:
    """`items` itself if it knows enough of itself, else wrapped."""
    return items if isinstance(items, ImageData) else Adapted(items)


def _names(items: Items) -> dict[int, str]:
    """What torchvision's data sets call their classes; several words of one class are joined."""
    classes = getattr(items, "classes", None)
    if not isinstance(classes, Sequence) or isinstance(classes, str):
        return {}
    joined = [", ".join(map(str, c)) if isinstance(c, tuple) else c for c in classes]
    return {i: c for i, c in enumerate(joined) if isinstance(c, str)}


def _labels(items: Items) -> Any:
    """All class indices, by any of the names that torchvision's data sets give them."""
    return next((found for name in ("labels", "targets", "_labels")
                 if (found := getattr(items, name, None)) is not None), None)  # fmt: skip


def _count(items: Items) -> int | None:
    count = getattr(items, "num_classes", None)
    if isinstance(count, int):
        return count
    classes = getattr(items, "classes", None)
    return len(classes) if isinstance(classes, Sequence) and classes else None
