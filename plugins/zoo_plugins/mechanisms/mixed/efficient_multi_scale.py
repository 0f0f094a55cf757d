"""Efficient multi-scale attention (Ouyang et al., ICASSP 2023, arXiv 2305.13563).

The channels form G groups of c = C / G, and one set of weights serves them all. Of a group g:

    x1 = GN(g * sigmoid(W mean_w(g) + b) * sigmoid(W mean_h(g) + b))       (c, H, W)
    x2 = conv3x3(g)                                                        (c, H, W)
    a1 = softmax(mean_hw(x1)),   a2 = softmax(mean_hw(x2))                 (c,)
    y = g * sigmoid(a1 . x2 + a2 . x1)

x, y: (B, C, H, W); W: (c, c); the gate is one plane (1, H, W) a group. GN norms each channel by
itself, as in the authors' code, so that the mean of x1 is the norm's bias whatever the map: a1 is
softmax(GN's bias), where the paper describes a weight that depends on the input. It is computed so
here. Parameter names are the authors'.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveInt, check_divisible, zero_


class EfficientMultiScale(nn.Module):
    """(B, C, H, W) -> the same shape, each position of each group scaled by a gate in (0, 1).

    Args:
        channels: C.
        groups: G, a divisor of C; by default the largest power of two up to 32 that is one (the
            authors: 32; copies of their code: 8).
    """

    def __init__(
        self,
        channels: int,
        *,
        groups: PositiveInt | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.groups = math.gcd(channels, 32) if groups is None else groups
        check_divisible("efficient_multi_scale", "channels", channels, "groups", self.groups)
        width = channels // self.groups
        dd: Any = {"device": device, "dtype": dtype}
        self.gn = nn.GroupNorm(width, width, **dd)
        self.conv1x1 = nn.Conv2d(width, width, 1, **dd)
        self.conv3x3 = nn.Conv2d(width, width, 3, padding=1, **dd)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        group = x.reshape(batch * self.groups, channels // self.groups, height, width)
        y = group * torch.sigmoid(self.plane(group))
        return y.reshape(batch, channels, height, width)

    def plane(self, group: Tensor) -> Tensor:
        """The logits of the gate: (B G, c, H, W) -> (B G, 1, H, W)."""
        rows = torch.sigmoid(self.conv1x1(group.mean(3, keepdim=True)))
        columns = torch.sigmoid(self.conv1x1(group.mean(2, keepdim=True)))
        x1, x2 = self.gn(group * rows * columns), self.conv3x3(group)
        a1 = torch.softmax(self.gn.bias, 0)
        a2 = torch.softmax(x2.mean((2, 3)), 1)
        mixed = a1 @ x2.flatten(2) + (a2.unsqueeze(1) @ x1.flatten(2)).squeeze(1)
        return mixed.unflatten(1, group.shape[2:]).unsqueeze(1)

    def init_identity(self) -> float:
        """Start as 0.5 x by a norm and a 3x3 convolution of zeros; returns 0.5.

        The 1x1 convolution learns from the second step.
        """
        zero_(self.gn, self.conv3x3)
        return 0.5

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
