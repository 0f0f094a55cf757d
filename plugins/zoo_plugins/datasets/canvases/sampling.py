"""Bilinear sampling of bytes in whole numbers: the same bytes on every device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 256  # positions are kept to 1/256 of a pixel


def sample(images: Tensor, source: Tensor) -> Tensor:
    """Look up pixels, black outside.

    Args:
        images: uint8 (B, h, w), on any device.
        source: float (B or 1, H, W, 2) on the CPU, (x, y) in pixels from the middle of an image.

    Returns:
        uint8 (B, H, W) on the device of `images`.
    """
    height, width = images.shape[-2:]
    x, y = (
        _fixed(source[..., n] + (length - 1) / 2, length).to(images.device)
        for n, length in ((0, width), (1, height))
    )
    flat = F.pad(images, (1, 2, 1, 2)).flatten(1).to(torch.int32)  # x = -1 and x + 1 = w + 1 exist
    row, column = y // STEPS + 1, x // STEPS + 1
    down, right = (y % STEPS).flatten(1), (x % STEPS).flatten(1)
    corner = (row * (width + 3) + column).flatten(1).expand(len(images), -1)

    def pixel(offset: int) -> Tensor:
        return flat.gather(1, corner + offset)

    above = pixel(0) * (STEPS - right) + pixel(1) * right
    below = pixel(width + 3) * (STEPS - right) + pixel(width + 4) * right
    total = above * (STEPS - down) + below * down
    return ((total + STEPS**2 // 2) // STEPS**2).to(torch.uint8).view(-1, *source.shape[1:3])


def _fixed(position: Tensor, length: int) -> Tensor:
    """int64 positions in 1/256 pixels; all that lies outside is brought to the black border."""
    return (position.clamp(-1, length) * STEPS).round().to(torch.int64)
