"""Random distortions, crops and flips of a whole batch at once, on any device."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.recipes import Augment

GRID = 5  # control points per axis of the elastic displacement


def augment(images: Tensor, limits: Augment) -> Tensor:
    """Distort images (B, C, H, W), zero outside, by draws from the global random state."""
    if replace(limits, crop=0, flip=False) != Augment():
        images = _warped(images, limits)
    if limits.crop:
        images = _cropped(images, limits.crop)
    if limits.flip:
        chosen = torch.rand(len(images), device=images.device) < 0.5
        images = torch.where(chosen[:, None, None, None], images.flip(3), images)
    return images


def _cropped(images: Tensor, pixels: int) -> Tensor:
    """Each moved by up to so many whole pixels."""
    batch, channels, height, width = images.shape
    device = images.device
    down, right = torch.randint(2 * pixels + 1, (2, batch, 1), device=device)
    rows = down + torch.arange(height, device=device)
    columns = right + torch.arange(width, device=device)
    which = torch.arange(batch, device=device)[:, None, None, None]
    colour = torch.arange(channels, device=device)[:, None, None]
    padded = F.pad(images, [pixels] * 4)
    return padded[which, colour, rows[:, None, :, None], columns[:, None, None]]


def _warped(images: Tensor, limits: Augment) -> Tensor:
    """Affine and elastic, bilinear."""
    grid = F.affine_grid(_matrices(images, limits), list(images.shape), align_corners=False)
    if limits.elastic:
        grid = grid + _displacement(images, limits.elastic)
    return F.grid_sample(images, grid, align_corners=False)


def _matrices(images: Tensor, limits: Augment) -> Tensor:
    """(B, 2, 3): rotation, scaling of each axis, shear, translation."""
    batch, _, height, width = images.shape

    def draw(limit: float) -> Tensor:
        return (torch.rand(batch, device=images.device) * 2 - 1) * limit

    angle = draw(math.radians(limits.rotate))
    x_scale, y_scale = draw(limits.scale).exp(), draw(limits.scale).exp()
    shear = draw(limits.shear)
    right, down = draw(2 * limits.translate / width), draw(2 * limits.translate / height)
    cos, sin = angle.cos(), angle.sin()
    rows = (cos * x_scale, shear - sin * y_scale, right, sin * x_scale, cos * y_scale, down)
    return torch.stack(rows, 1).view(batch, 2, 3).to(images.dtype)


def _displacement(images: Tensor, pixels: float) -> Tensor:
    """(B, H, W, 2): smooth random shifts in the units of `grid_sample`."""
    batch, _, height, width = images.shape
    shift = torch.randn(batch, 2, GRID, GRID, device=images.device, dtype=images.dtype)
    smooth = _interpolation(height, images) @ shift @ _interpolation(width, images).T
    unit = smooth.new_tensor([2 * pixels / width, 2 * pixels / height])
    return smooth.permute(0, 2, 3, 1) * unit


def _interpolation(size: int, like: Tensor) -> Tensor:
    """(size, GRID): bicubic interpolation of GRID points as a matrix, cheaper than the operator."""
    points = torch.eye(GRID, device=like.device, dtype=like.dtype)[None, None]
    return F.interpolate(points, (size, GRID), mode="bicubic", align_corners=True)[0, 0]
