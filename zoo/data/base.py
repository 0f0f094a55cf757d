"""What evaluation asks of a data set, and the same for data sets that know less of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable


class Items(Protocol):
    """A map-style data set: `data[i]` is (PIL image or uint8 array, class index or several)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Any, Any]: ...


@runtime_checkable
class ImageData(Items, Protocol):
    """Items that know their name, split and number of classes.

    Optional: `labels`, all class indices; `describe(i)`, what messages call an item; `in_memory`,
    true where items cost too little for worker processes.
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

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.items[index]

    def describe(self, index: int) -> str:
        return describe(self.items, index)


def describe(items: Items, index: int) -> str:
    """What messages call item `index`: its file, or its number."""
    name = getattr(items, "describe", None)
    return str(name(index)) if callable(name) else f"image {index}"


def adapt(items: Items) -> ImageData:
    """`items` itself if it knows enough, else wrapped."""
    return items if isinstance(items, ImageData) else Adapted(items)


def _count(items: Items) -> int | None:
    count = getattr(items, "num_classes", None)
    if isinstance(count, int):
        return count
    classes = getattr(items, "classes", None)
    return len(classes) if isinstance(classes, Sequence) and classes else None
