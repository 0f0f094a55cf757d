"""Random numbers that belong to an item, not to the order in which items are drawn.

A generator for each item would be a Python loop over the batch. These are counter-based instead:
number n of item i is a hash of (seed, epoch, i, n), so a batch is drawn at once, an item alone is
the same as within any batch, and a resumed run goes on exactly. The hash is the finaliser of
SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


class Draws:
    """Streams of random numbers, one an item, always on the CPU: (B, count) tensors.

    Args:
        seed, epoch: of all items.
        index: (B,) whole numbers, one an item.
    """

    def __init__(self, seed: int, epoch: int, index: ArrayLike) -> None:
        state = _mix(_words(seed))
        for words in (_words(epoch), np.asarray(index).astype(np.int64).astype(np.uint64)):
            state = _mix(state + words * _GAMMA)
        self._state = state[:, None]
        self._drawn = 0

    def __len__(self) -> int:
        return len(self._state)

    def uniform(self, count: int = 1, low: float = 0.0, high: float = 1.0) -> Tensor:
        """float64 in [low, high)."""
        unit = (self._bits(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return torch.from_numpy(unit * (high - low) + low)

    def integers(self, high: int | Tensor, count: int = 1) -> Tensor:
        """int64 in [0, high); `high` may be (B, 1), one an item."""
        return (self.uniform(count) * high).floor().to(torch.int64)

    def normal(self, count: int = 1) -> Tensor:
        """float64, standard normal (Box and Muller)."""
        radius = (-2 * torch.log1p(-self.uniform(count))).sqrt()
        return radius * torch.cos(2 * torch.pi * self.uniform(count))

    def _bits(self, count: int) -> NDArray[np.uint64]:
        first, self._drawn = self._drawn + 1, self._drawn + count
        counter = np.arange(first, self._drawn + 1, dtype=np.uint64)
        return _mix(self._state + counter * _GAMMA)


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


def _words(number: int) -> NDArray[np.uint64]:
    return np.array([number % 2**64], np.uint64)
