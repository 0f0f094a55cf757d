"""Shuffle attention, SA-Net (Zhang, Yang, ICASSP 2021, arXiv 2102.00240, section 3.1).

The channels form G groups, each of two halves x1 and x2 of C / 2G channels:

    x1' = x1 * sigmoid(W1 mean_hw(x1) + b1)          channel attention (eq. 2)
    x2' = x2 * sigmoid(W2 GN(x2) + b2)               spatial attention (eq. 3), GN per channel
    y = channel_shuffle([x1', x2'], 2)

x, y: (B, C, H, W). W and b are vectors of C / 2G entries, shared by all groups. W2 and b2 are
folded into the norm's own scale and shift. Parameter names are the authors'.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveInt, check_divisible, refuse

NAME = "shuffle_attention"


class ShuffleAttention(nn.Module):
    """(B, C, H, W) -> the same shape, its channels in another order.

    Args:
        channels: C, even.
        groups: G, a divisor of C / 2; by default the largest power of two up to 64 that is one
            (the authors: 64).
        shuffle_groups: of the channel shuffle at the end, 2; 1 leaves the order.
    """

    def __init__(
        self,
        channels: int,
        *,
        groups: PositiveInt | None = None,
        shuffle_groups: PositiveInt = 2,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if channels % 2:
            refuse(NAME, f"channels={channels} is odd, and each group has two halves")
        self.groups = math.gcd(channels // 2, 64) if groups is None else groups
        self.shuffle_groups = shuffle_groups
        check_divisible(NAME, "channels", channels, "2 * groups", 2 * self.groups)
        check_divisible(NAME, "channels", channels, "shuffle_groups", shuffle_groups)
        half = channels // (2 * self.groups)
        dd: Any = {"device": device, "dtype": dtype}
        self.cweight = nn.Parameter(torch.zeros(1, half, 1, 1, **dd))
        self.cbias = nn.Parameter(torch.ones(1, half, 1, 1, **dd))
        self.sweight = nn.Parameter(torch.zeros(1, half, 1, 1, **dd))
        self.sbias = nn.Parameter(torch.ones(1, half, 1, 1, **dd))
        self.gn = nn.GroupNorm(half, half, **dd)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        x1, x2 = x.reshape(batch * self.groups, channels // self.groups, height, width).chunk(2, 1)
        x1 = x1 * torch.sigmoid(self.cweight * x1.mean((2, 3), keepdim=True) + self.cbias)
        x2 = x2 * torch.sigmoid(self._normed(x2))
        y = torch.cat([x1, x2], 1).view(x.shape)
        return y.unflatten(1, (self.shuffle_groups, -1)).transpose(1, 2).flatten(1, 2)

    def _normed(self, x: Tensor) -> Tensor:
        """W2 GN(x) + b2."""
        scale, shift = self.sweight.flatten(), self.sbias.flatten()
        weight, bias = scale * self.gn.weight, scale * self.gn.bias + shift
        return torch.group_norm(x, self.gn.num_groups, weight, bias, self.gn.eps)

    def extra_repr(self) -> str:
        return f"groups={self.groups}, shuffle_groups={self.shuffle_groups}"
