"""Fourier features of positions on a grid of any number of axes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def positions(size: Sequence[int], like: Tensor) -> Tensor:
    """Positions from -1 to 1 on each axis, (*size, axes), in float32 at least."""
    dtype = _precision(like)
    axes = [torch.linspace(-1.0, 1.0, n, device=like.device, dtype=dtype) for n in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)


def interleaved_features(size: Sequence[int], bands: int, max_freq: float, like: Tensor) -> Tensor:
    """For each axis [sin(pi f p), ..., cos(pi f p), ..., p], f from 1 to max_freq / 2.

    (*size, axes (2 bands + 1)); the order of the port that is best known.
    """
    p = positions(size, like).unsqueeze(-1)
    scales = torch.linspace(1.0, max_freq / 2, bands, device=like.device, dtype=p.dtype)
    angles = p * scales * torch.pi
    return torch.cat((angles.sin(), angles.cos(), p), -1).flatten(-2).to(like.dtype)


def stacked_features(
    size: Sequence[int], bands: int, resolution: Sequence[float], like: Tensor
) -> Tensor:
    """All positions, then the sines of all axes, then the cosines; f from 1 to resolution / 2.

    (*size, axes (2 bands + 1)); the order of the authors.
    """
    p = positions(size, like)
    scales = torch.stack([
        torch.linspace(1.0, n / 2, bands, device=like.device, dtype=p.dtype) for n in resolution
    ])  # fmt: skip
    angles = (p.unsqueeze(-1) * scales * torch.pi).flatten(-2)
    return torch.cat((p, angles.sin(), angles.cos()), -1).to(like.dtype)


def _precision(like: Tensor) -> torch.dtype:
    """Of angles, which are hundreds of radians: half precision would lose whole turns."""
    return torch.promote_types(like.dtype, torch.float32)
