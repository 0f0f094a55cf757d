"""Several splits as one data set, such as SVHN's `train` and `extra`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Joined:
    """Several `Drawable`s as one. An image is what its own part draws.

    Attributes:
        parts: the data sets that are joined.
        part, place: int64 (N,). For each image, which part it is of, and which image it is there.
    """

    parts: tuple[Any, ...]
    part: Tensor
    place: Tensor

    @property
    def num_classes(self) -> int | None:
        counts = [part.num_classes for part in self.parts]
        return None if None in counts else max(counts)

    def __len__(self) -> int:
        return len(self.part)

    def draw(
        self, index: Tensor, *, epoch: int = 0, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """uint8 (B, C, H, W) and labels, in the order of `index`."""
        part, place = self.part[index.cpu()], self.place[index.cpu()]
        drawn = [
            self.parts[number].draw(place[part == number], epoch=epoch, seed=seed)
            for number in part.unique().tolist()
        ]
        order = part.argsort(stable=True).argsort()  # drawn part after part, asked for mixed
        images, labels = (torch.cat(found) for found in zip(*drawn, strict=True))
        return images[order.to(images.device)], labels[order.to(labels.device)]

    def subset(self, index: Tensor) -> Joined:
        """Hold only those images, so that no part keeps what nobody asks for."""
        part, place = self.part[index.cpu()], self.place[index.cpu()]
        chosen = [p.subset(place[part == number]) for number, p in enumerate(self.parts)]
        places = torch.empty_like(place)
        for number, found in enumerate(chosen):
            places[part == number] = torch.arange(len(found))
        return Joined(tuple(chosen), part, places)

    def to(self, device: torch.device | str) -> Joined:
        return Joined(tuple(part.to(device) for part in self.parts), self.part, self.place)


def join(parts: Sequence[Any]) -> Any:
    """Join `Drawable`s one after the other. A single one is returned as it is."""
    if len(parts) == 1:
        return parts[0]
    sizes = [len(part) for part in parts]
    number = torch.arange(len(parts)).repeat_interleave(torch.tensor(sizes))
    return Joined(tuple(parts), number, torch.cat([torch.arange(size) for size in sizes]))
