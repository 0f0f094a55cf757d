"""Two digits on a canvas: name both from left to right, or their sum.

Ba, Mnih, Kavukcuoglu, "Multiple Object Recognition with Visual Attention", ICLR 2015
(arXiv 1412.7755), section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import OptionError
from zoo_plugins.datasets.canvases.canvas import others, paste
from zoo_plugins.datasets.canvases.draws import Draws
from zoo_plugins.datasets.canvases.source import Digits

APART = 7  # pixels: a quarter of a digit, so that left and right are plain to see


@dataclass(frozen=True, slots=True)
class Pair:
    """Digit `index` and a random other one, at random places of a `size` x `size` canvas.

    The paper says no more than that. Here the two boxes do not overlap and their left edges are at
    least `APART` pixels apart, since otherwise the order from left to right is not to be seen;
    places are uniform under these conditions.

    Labels are (B, 2), from left to right, or with `add` their sums (B,), 0 to 18.
    """

    size: int = 100
    add: bool = False

    def draw(self, digits: Digits, index: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """uint8 (B, size, size) and the labels."""
        both = torch.stack((index, others(draws, index, len(digits), 1)[:, 0]), 1)
        places = self._places(draws, digits.images.shape[-1])
        both = both.to(digits.device)
        images = paste(self.size, [(digits.images[both], places)])
        labels = digits.labels[both]
        if self.add:
            return images, labels.sum(1)
        first_is_left = places[:, 0, 1] < places[:, 1, 1]
        return images, torch.where(first_is_left.to(digits.device)[:, None], labels, labels.flip(1))

    def _places(self, draws: Draws, side: int) -> Tensor:
        """(B, 2, 2) corners: the second is drawn from all places that the first leaves free."""
        if self.size < 3 * side:  # else a digit in the middle could leave no place for another
            raise OptionError(
                f"size={self.size} is too small for two digits of {side} pixels",
                where="data set of pairs",
                remedy=f"size={3 * side} or more",
            )
        room = self.size - side + 1
        first = draws.integers(room, 2)
        steps = torch.arange(room)
        dy, dx = ((steps - first[:, n : n + 1]).abs() for n in (0, 1))
        free = (dy[:, :, None] >= side) | (dx[:, None, :] >= side)
        free &= (dx >= APART)[:, None, :]
        rank = free.flatten(1).cumsum(1, dtype=torch.int32)
        wanted = draws.integers(rank[:, -1:].to(torch.int64)) + 1
        second = torch.searchsorted(rank, wanted.to(torch.int32))
        second = torch.cat((second // room, second % room), 1)
        return torch.stack((first, second), 1)
