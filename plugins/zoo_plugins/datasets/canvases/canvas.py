"""Digits and pieces of digits on a black canvas, a whole batch at once, in bytes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_plugins.datasets.canvases.draws import Draws
from zoo_plugins.datasets.canvases.source import Digits


@dataclass(frozen=True, slots=True)
class Canvas:
    """One digit at a random place of a `size` x `size` canvas, and `pieces` of other digits.

    A piece is a `side` x `side` window, at a random place of a digit drawn from all but the one
    that is to be read; it lands anywhere on the canvas. Where things overlap the brighter pixel
    stays. All draws are uniform.
    """

    size: int
    pieces: int = 0
    side: int = 0

    def draw(self, digits: Digits, index: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """uint8 (B, size, size) and the labels (B,) of digits `index`."""
        height, width = digits.images.shape[-2:]
        place = corners(draws, 1, self.size, height, width)
        patches = [(digits.images[index.to(digits.device)][:, None], place)]
        if self.pieces:
            patches += self.clutter(digits, index, draws)
        return paste(self.size, patches), digits.labels[index.to(digits.device)]

    def clutter(self, digits: Digits, index: Tensor, draws: Draws) -> list[tuple[Tensor, Tensor]]:
        """The pieces (B, P, side, side) and their corners (B, P, 2), as `paste` takes them."""
        return [(self._pieces(digits, index, draws), self._places(draws))]

    def _pieces(self, digits: Digits, index: Tensor, draws: Draws) -> Tensor:
        which = others(draws, index, len(digits), self.pieces)
        height, width = digits.images.shape[-2:]
        y, x = (draws.integers(n - self.side + 1, self.pieces) for n in (height, width))
        offsets = torch.arange(self.side)
        rows, columns = y[..., None, None] + offsets[:, None], x[..., None, None] + offsets
        flat = (which[..., None, None] * height + rows) * width + columns
        return digits.images.flatten()[flat.to(digits.device)]

    def _places(self, draws: Draws) -> Tensor:
        return corners(draws, self.pieces, self.size, self.side, self.side)


def others(draws: Draws, index: Tensor, total: int, count: int) -> Tensor:
    """(B, count) indices of digits, none of them the item's own (unless it is the only one)."""
    return (index[:, None] + 1 + draws.integers(max(1, total - 1), count)) % total


def corners(draws: Draws, count: int, size: int, height: int, width: int) -> Tensor:
    """(B, count, 2): rows and columns where a patch of that size fits into the canvas."""
    limits = (size - height + 1, size - width + 1)
    return torch.stack([draws.integers(limit, count) for limit in limits], -1)


def paste(size: int, patches: list[tuple[Tensor, Tensor]]) -> Tensor:
    """uint8 (B, size, size) canvases; each entry is (patches (B, P, h, w), corners (B, P, 2)).

    Where patches overlap the brighter pixel stays.
    """
    value, place = _pixels(size, patches)
    canvas = value.new_zeros(len(value), size * size)
    canvas.scatter_reduce_(1, place, value, "amax")
    return canvas.view(-1, size, size)


def add_and_clip(size: int, patches: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The same as `paste`, but brightness adds up where patches overlap, to 255 at most."""
    value, place = _pixels(size, patches)
    canvas = value.new_zeros(len(value), size * size, dtype=torch.int32)
    canvas.scatter_add_(1, place, value.to(torch.int32))
    return canvas.clamp_(max=255).to(torch.uint8).view(-1, size, size)


def _pixels(size: int, patches: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """All pixels of the patches (B, N) and where on the flat canvas they go."""
    pixels, places = [], []
    for patch, corner in patches:
        y, x = corner[..., 0, None, None], corner[..., 1, None, None]
        rows, columns = torch.arange(patch.shape[-2])[:, None], torch.arange(patch.shape[-1])
        places.append(((y + rows) * size + x + columns).flatten(1))
        pixels.append(patch.flatten(1))
    value = torch.cat(pixels, 1)
    return value, torch.cat(places, 1).to(value.device)
