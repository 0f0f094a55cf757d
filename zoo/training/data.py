"""Training images, held in memory as bytes; the held-out part is drawn once, by seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from zoo.errors import RecipeError


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
    """The training split of a registered data set, whole, as its files give it."""
    from zoo.data import open_dataset

    dataset = open_dataset(name, root, split="train")
    if hasattr(dataset, "tensors"):
        return Images(*dataset.tensors)
    pairs = [dataset[i] for i in range(len(dataset))]
    stacked = torch.stack([_bytes(image) for image, _ in pairs])
    return Images(stacked, torch.tensor([label for _, label in pairs]))


def _bytes(image: object) -> Tensor:
    import numpy as np

    pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
    return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
