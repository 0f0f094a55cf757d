"""A data set drawn on the fly: item by item for evaluation, a batch at once for training."""

from __future__ import annotations

import os
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.mnist import STEMS
from zoo.data.splits import choose
from zoo_plugins.datasets.canvases.draws import Draws
from zoo_plugins.datasets.canvases.source import Digits, load_digits

# What is not in a paper but must be fixed so that test sets are the same for everyone.
SEEDS = {"test": 14066247, "train": 0}


class Task(Protocol):
    """What is drawn from digits `index`."""

    def draw(self, digits: Digits, index: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """uint8 (B, H, W) and labels (B,) or (B, L)."""
        ...


class Drawn:
    """As many images as there are digits: item i shows digit i, always in the same way.

    The test split is drawn from MNIST's 10,000 test digits, pieces of clutter included, with the
    published seed 14066247; the train split from the 60,000 training digits. Training draws anew
    in each epoch.

    Items are (uint8 array (H, W), class index), or for pairs (array, int64 array (2,)).

    Args:
        root: where the MNIST files are, see `zoo.data.mnist.MNIST`.
        split: `"test"` (default) or `"train"`.
    """

    in_memory = True

    def __init__(
        self,
        name: str,
        task: Task,
        num_classes: int,
        root: str | os.PathLike[str] | None = None,
        split: str | None = None,
    ) -> None:
        self.name, self.task = name, task
        self.split = choose(tuple(STEMS), split, root or name, preferred=("test", "train"))
        self.digits = load_digits(self.split, root)
        self.num_classes: int | None = num_classes

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int | NDArray[np.int64]]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} images, there is no {index}")
        images, labels = self.draw(torch.tensor([index % len(self)]))
        label = labels[0].cpu()
        return images[0, 0].cpu().numpy(), label.numpy() if label.ndim else int(label)

    def draw(
        self, index: Tensor, *, epoch: int = 0, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Images of digits `index`, uint8 (B, 1, H, W), and labels, on the digits' device.

        Each is a function of its digit's index, the epoch and the seed alone, to the byte, on every
        device; `seed=None` is the split's own.
        """
        draws = Draws(SEEDS[self.split] if seed is None else seed, epoch, index)
        images, labels = self.task.draw(self.digits, index, draws)
        return images[:, None], labels

    def subset(self, index: Tensor) -> Drawn:
        """The same of these digits only, clutter included."""
        part = object.__new__(type(self))
        part.__dict__ = {**self.__dict__, "digits": self.digits[index]}
        return part

    def to(self, device: torch.device | str) -> Drawn:
        moved = object.__new__(type(self))
        moved.__dict__ = {**self.__dict__, "digits": self.digits.to(device)}
        return moved
