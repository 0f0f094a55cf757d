"""Training images, held in memory as bytes; the held-out part is drawn once, by seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import DataError, RecipeError, UnknownNameError
from zoo.registry import default_registry
from zoo.targets import resolve


@dataclass(frozen=True, slots=True)
class Images:
    """uint8 (N, C, H, W) and int64 (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor) -> Images:
        return Images(self.images[index], self.labels[index])

    def to(self, device: torch.device) -> Images:
        return Images(self.images.to(device), self.labels.to(device))


def split(data: Images, holdout: int, seed: int) -> tuple[Images, Images]:
    """(training, held-out): `holdout` images drawn with `seed`, whatever else is random."""
    if holdout >= len(data):
        raise RecipeError(f"data.holdout = {holdout} leaves none of {len(data)} images to train on")
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    return data[order[holdout:]], data[order[:holdout]]


def load_images(name: str, root: Path | None) -> Images:
    """The training split of a registered data set, as its files give it, in memory.

    Raises:
        UnknownNameError: no data set of that name. DataError: its files are absent or broken,
        or its images are not all of one size.
    """
    registry = default_registry()
    spec = registry.datasets.get(name)
    if spec is None:
        raise UnknownNameError(
            f"there is no data set {name!r}",
            where="data.name",
            remedy=f"one of {', '.join(sorted(registry.datasets)) or 'none: see zoo plugins'}",
        )
    dataset = resolve(spec.target, registry.owner(spec))(root, "train")
    pairs = [dataset[i] for i in range(len(dataset))]
    images = [_channels_first(image) for image, _ in pairs]
    if len({image.shape for image in images}) != 1:
        raise DataError(f"the images of {name} are not all of one size", where=str(root or name))
    return Images(torch.stack(images), torch.tensor([int(label) for _, label in pairs]))


def _channels_first(image: Any) -> Tensor:
    """A PIL image or a uint8 array, as uint8 (C, H, W)."""
    pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
    return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
