"""A map (64, S, S) of a photograph by filters that nobody trained: edges, spots and colours.

A mechanism takes features, not pixels, and trained weights of a whole network would be more than a
page can carry. These features are as a first layer's: edges of eight directions in three sizes,
bright and dark spots, and colours against each other. Each is divided by its root mean square over
all photographs, and what is negative is set to 0, as behind a ReLU.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

FOLDER = Path(__file__).parents[1] / "photographs"
CHANNELS = 64
FLOOR = 0.05  # below every feature, so that a gain y / x is defined everywhere


def names() -> list[str]:
    """The photographs."""
    return sorted(file.stem for file in FOLDER.glob("*.jpg"))


@cache
def maps(size: int) -> Tensor:
    """The features of all photographs, (B, 64, size, size)."""
    pixels = torch.stack([_pixels(name) for name in names()])
    grey = pixels.mean(1, keepdim=True)
    red_green = pixels[:, :1] - pixels[:, 1:2]
    blue_yellow = pixels[:, 2:] - pixels[:, :2].mean(1, keepdim=True)
    planes = [_edges(grey)] + [_spots(p) for p in (grey, red_green, blue_yellow)]
    colours = torch.cat([red_green, -red_green, blue_yellow, -blue_yellow], 1)
    found = torch.cat([*planes, colours], 1)[:, :CHANNELS]
    scaled = found / found.square().mean((0, 2, 3), keepdim=True).sqrt().clamp(min=1e-6)
    return F.adaptive_avg_pool2d(scaled.relu(), size) + FLOOR


def _pixels(name: str) -> Tensor:
    with Image.open(FOLDER / f"{name}.jpg") as image:
        return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).movedim(-1, 0)


def _edges(grey: Tensor) -> Tensor:
    """Edges and lines of eight directions in three sizes: (B, 48, H, W)."""
    bank = torch.stack([
        _gabor(angle * math.pi / 8, spread, phase)
        for spread in (1.5, 3.0, 6.0)
        for angle in range(8)
        for phase in (0.0, math.pi / 2)
    ])  # fmt: skip
    return F.conv2d(F.pad(grey, [12] * 4, mode="reflect"), bank[:, None])


def _gabor(angle: float, spread: float, phase: float) -> Tensor:
    y, x = torch.meshgrid(torch.arange(-12.0, 13), torch.arange(-12.0, 13), indexing="ij")
    along = x * math.cos(angle) + y * math.sin(angle)
    window = torch.exp(-(x**2 + y**2) / (2 * spread**2))
    wave = window * torch.cos(2 * math.pi * along / (4 * spread) + phase)
    return wave - window * wave.sum() / window.sum()  # of an even picture it makes 0


def _spots(plane: Tensor) -> Tensor:
    """What is brighter, and what is darker, than around it, in two sizes: (B, 4, H, W)."""
    blurred = [_blurred(plane, spread) for spread in (1.0, 2.5, 6.0)]
    pairs = zip(blurred, blurred[1:], strict=False)
    return torch.cat([sign * (a - b) for a, b in pairs for sign in (1, -1)], 1)


def _blurred(plane: Tensor, spread: float) -> Tensor:
    line = torch.exp(-(torch.arange(-12.0, 13) ** 2) / (2 * spread**2))
    line = line / line.sum()
    padded = F.pad(plane, [12] * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, line[None, None, None]), line[None, None, :, None])
