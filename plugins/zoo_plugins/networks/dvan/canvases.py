"""Attention canvases: windows of an image from coarse to fine, brought to one size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor


def windows(scales: Sequence[float], size: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """(top, left, height, width) in pixels of every canvas, coarse to fine, row by row."""
    found: list[tuple[int, int, int, int]] = []
    for scale in scales:
        sides = [max(1, round(scale * side)) for side in size]
        count = math.ceil(1 / scale)
        starts = [_spread(full, side, count) for full, side in zip(size, sides, strict=True)]
        found += [(top, left, sides[0], sides[1]) for top, left in product(*starts)]
    return found


def _spread(full: int, side: int, count: int) -> list[int]:
    """First pixels of `count` windows from the one end to the other."""
    if count == 1:
        return [(full - side) // 2]
    return [round(step * (full - side) / (count - 1)) for step in range(count)]


def make_canvases(images: Tensor, scales: Sequence[float], size: Sequence[int]) -> Tensor:
    """images (B, C, H, W) -> canvases (B, T, C, *size), bilinear and antialiased."""
    height, width = size
    parts = [
        images[:, :, top : top + rows, left : left + columns]
        for top, left, rows, columns in windows(scales, images.shape[2:])
    ]
    resized = [
        part
        if part.shape[2:] == (height, width)
        else F.interpolate(part, (height, width), mode="bilinear", antialias=True)
        for part in parts
    ]
    return torch.stack(resized, 1)
