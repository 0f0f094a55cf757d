"""Spatial group-wise enhance (Li, Hu, Yang, 2019, arXiv 1905.09646, section 3).

    c_i = x_i . mean_j(x_j)                      within each group of C/G channels     (eq. 1, 2)
    t_i = (c_i - mean(c)) / (std(c) + eps)       over the positions                        (eq. 3)
    y_i = x_i * sigmoid(weight t_i + bias)       one weight and bias for each group     (eq. 4, 5)

x, y: (B, C, H, W); i, j: positions. The standard deviation is that of the authors' code, over
HW - 1; a map of one position has t = 0. weight starts at 0 and bias at 1, so that every gate does
at sigmoid(1).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, check_divisible
from zoo.sdk.precision import wide_matmul
from zoo_plugins.mechanisms.mixed.simam import others

GROUPS = 64


class SpatialGroupEnhance(nn.Module):
    """(B, C, H, W) -> the same shape, each position of each group scaled by a gate in (0, 1).

    Args:
        channels: C.
        groups: G; by default 64, or if that does not divide C, their greatest common divisor.
        eps: added to the standard deviation, 1e-5.
    """

    def __init__(
        self,
        channels: int,
        *,
        groups: PositiveInt | None = None,
        eps: PositiveFloat = 1e-5,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.groups = math.gcd(channels, GROUPS) if groups is None else groups
        check_divisible("sge", "channels", channels, "groups", self.groups)
        self.eps = eps
        shape = (1, self.groups, 1, 1)
        self.weight = nn.Parameter(torch.zeros(shape, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.ones(shape, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        grouped = x.unflatten(1, (self.groups, -1))  # (B, G, C/G, H, W)
        t = _similarity(grouped)
        t = t - t.mean((2, 3), keepdim=True)
        var = t.square().sum((2, 3), keepdim=True) / others(x)
        t = t / (var.clamp(min=1e-20).sqrt() + self.eps)  # the root has no slope at 0
        t = torch.sigmoid(self.bias + self.weight * t).to(x.dtype)
        return (grouped * t.unsqueeze(2)).flatten(1, 2)

    def init_identity(self) -> float:
        """Start as sigmoid(1) x, as published; returns sigmoid(1)."""
        with torch.no_grad():
            self.weight.zero_()
            self.bias.fill_(1.0)
        return 1 / (1 + math.exp(-1))

    def extra_repr(self) -> str:
        return f"groups={self.groups}, eps={self.eps}"


def _similarity(grouped: Tensor) -> Tensor:
    """c: (B, G, C/G, H, W) -> (B, G, H, W), each position's product with its group's mean."""
    planes = grouped.flatten(3).flatten(0, 1)  # (B G, C/G, HW)
    similarity = wide_matmul(planes.mean(2).unsqueeze(1), planes)
    return similarity.view(grouped.shape[0], grouped.shape[1], grouped.shape[3], grouped.shape[4])
