"""Some images of a data set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.base import ImageData, describe, known_labels


@dataclass(frozen=True, slots=True)
class Subset:
    """The images of a data set at some `places`, int64 (N,), in that order."""

    items: ImageData
    places: NDArray[np.int64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.items[int(self.places[index])]

    def describe(self, index: int) -> str:
        return describe(self.items, int(self.places[index]))

    @property
    def name(self) -> str:
        return self.items.name

    @property
    def split(self) -> str:
        return self.items.split

    @property
    def num_classes(self) -> int | None:
        return self.items.num_classes

    @property
    def class_names(self) -> Any:
        return getattr(self.items, "class_names", {})

    @property
    def numbered(self) -> bool:
        return bool(getattr(self.items, "numbered", True))

    @property
    def labels(self) -> NDArray[Any] | None:
        """All labels, if the data set has them at hand."""
        labels = known_labels(self.items)
        return None if labels is None else labels[self.places]

    @property
    def blocks(self) -> NDArray[np.int64] | None:
        """Which images are read together, if that matters."""
        blocks = getattr(self.items, "blocks", None)
        return None if blocks is None else blocks[self.places]
