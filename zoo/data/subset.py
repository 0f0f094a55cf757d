"""Some images of a data set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.base import ImageData, describe, known_labels


class Subset:
    """The images of a data set at some `places`, int64 (N,), in that order, as `ImageData`."""

    def __init__(self, items: ImageData, places: NDArray[np.int64]) -> None:
        self.items, self.places = items, places
        self.name, self.split, self.num_classes = items.name, items.split, items.num_classes
        self.class_names: Any = getattr(items, "class_names", {})
        self.numbered = bool(getattr(items, "numbered", True))
        self.in_memory = bool(getattr(items, "in_memory", False))
        labels, blocks = known_labels(items), getattr(items, "blocks", None)
        self.labels: NDArray[Any] | None = None if labels is None else labels[places]
        self.blocks: NDArray[np.int64] | None = None if blocks is None else blocks[places]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.items[int(self.places[index])]

    def describe(self, index: int) -> str:
        return describe(self.items, int(self.places[index]))
