"""MNIST's digits in memory, on any device: what all canvases are drawn from."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zoo.data.mnist import load


@dataclass(frozen=True, slots=True)
class Digits:
    """uint8 (N, H, W) and int64 (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor) -> Digits:
        return Digits(self.images[index], self.labels[index])

    def to(self, device: torch.device | str) -> Digits:
        return Digits(self.images.to(device), self.labels.to(device))

    @property
    def device(self) -> torch.device:
        return self.images.device


def load_digits(split: str, root: str | os.PathLike[str] | None) -> Digits:
    """`"train"` or `"test"` digits; see `zoo.data.mnist.load`."""
    images, labels = load(split, root)
    return Digits(torch.from_numpy(np.array(images)), torch.from_numpy(labels))
