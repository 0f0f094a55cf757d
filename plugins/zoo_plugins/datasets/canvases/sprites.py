"""Two digits on clutter, as in DeepMind's published generator: name both, or their sum.

Ba, Mnih, Kavukcuoglu, "Multiple Object Recognition with Visual Attention", ICLR 2015
(arXiv 1412.7755), section 4.1, says little of how its canvases are made. The generator that the
authors' group published (mnist-cluttered, 2014) is the best reading of it, and these follow its
rules: pieces of digits are laid first, then the digits; each lands anywhere, also on another; where
things overlap their brightness is added and clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from zoo_plugins.datasets.canvases.canvas import Canvas, add_and_clip, corners, others
from zoo_plugins.datasets.canvases.draws import Draws
from zoo_plugins.datasets.canvases.source import Digits


@dataclass(frozen=True, slots=True)
class Sprites:
    """Digit `index` and a random other one, each at a uniform place of a `size` x `size` canvas.

    Args:
        size: side of the canvas in pixels.
        pieces: windows of other digits that are laid below them, `side` x `side` pixels each.
        target: `"pair"` labels the unordered pair {a, b}, one of 55 classes, in the order
            (0, 0), (0, 1), ..., (0, 9), (1, 1), ..., (9, 9); `"sum"` labels a + b, 0 to 18.
    """

    size: int = 100
    pieces: int = 0
    side: int = 8
    target: Literal["pair", "sum"] = "pair"

    def draw(self, digits: Digits, index: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """uint8 (B, size, size) and the labels (B,)."""
        both, places = self.lay(digits, index, draws)
        both = both.to(digits.device)
        patches = [(digits.images[both], places)]
        if self.pieces:
            patches += Canvas(self.size, self.pieces, self.side).clutter(digits, index, draws)
        low, high = digits.labels[both].sort(1).values.unbind(1)
        label = low + high if self.target == "sum" else pair_class(low, high)
        return add_and_clip(self.size, patches), label

    def lay(self, digits: Digits, index: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Which two digits (B, 2) lie on each canvas, and their corners (B, 2, 2): row, column."""
        height, width = digits.images.shape[-2:]
        both = torch.stack((index, others(draws, index, len(digits), 1)[:, 0]), 1)
        return both, corners(draws, 2, self.size, height, width)


def pair_class(low: Tensor, high: Tensor) -> Tensor:
    """The class of an unordered pair of digits 0 <= low <= high <= 9, from 0 to 54."""
    return low * (19 - low) // 2 + high
