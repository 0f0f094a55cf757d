"""LCT, linear context transform (Ruan, Wen, Zheng, Zheng, AAAI 2020, arXiv 1909.03834).

    z = mean_hw(x)
    n = (z - mean_g(z)) / sqrt(var_g(z) + eps)          within each group of C / G channels
    y = x * sigmoid(w n + b)

x, y: (B, C, H, W); z, n: (B, C); w, b: one number for each channel. A group is of neighbouring
channels, and its variance is over all of its C / G values.

No code of the authors was found. This agrees with a port (changzy00, pytorch-attention), whose eps
of 1e-5 and start at w = 1, b = 0 it has; what the authors took for these is not confirmed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, check_divisible, refuse, zero_

NAME = "linear_context"


class LinearContext(nn.Module):
    """(B, C, H, W) -> the same shape, each channel scaled by a gate in (0, 1).

    Args:
        channels: C.
        groups: G, a divisor of C that leaves two channels or more in a group; by default the
            largest of 8, 4, 2 and 1 that does.
        eps: added to the variance, 1e-5.
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
        groups = groups or default_groups(channels)
        check_divisible(NAME, "channels", channels, "groups", groups)
        if groups == channels:
            refuse(NAME, f"groups={groups} leaves a single channel in each group", "groups=1")
        self.norm = nn.GroupNorm(groups, channels, eps=eps, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.norm(x.mean((2, 3))))
        return x * gate.to(x.dtype)[:, :, None, None]

    def init_identity(self) -> float:
        """Start as 0.5 x, every parameter learning from the first step; returns 0.5."""
        zero_(self.norm)
        return 0.5


def default_groups(channels: int) -> int:
    """The largest of 8, 4, 2 and 1 whose groups have at least two channels."""
    fitting = (g for g in (8, 4, 2) if channels % g == 0 and channels > g)
    return next(fitting, 1)
