"""MCA, multidimensional collaborative attention (Yu et al., Eng. Appl. Artif. Intell. 126, 2023).

    m, d = mean(x), std(x)                              over two of the dimensions C, H, W
    t = (m + d) / 2 + s_1 m + s_2 d                     s = sigmoid(weight), two numbers
    a = sigmoid(conv1d_k(t))                            along the third dimension
    y = x * (a_h + a_w + a_c) / 3

x, y: (B, C, H, W); a_h: (B, 1, H, 1), a_w: (B, 1, 1, W), a_c: (B, C, 1, 1), each of a gate with
two mixing weights and a zero-padded kernel of its own, without a bias. k is 3 along H and W, and
along C round(|log2(C) - 1| / 1.5), an even number lowered by one. Without the gate of the channels
y = x * (a_h + a_w) / 2; the authors' code calls that `no_spatial=True`.

Deviations are unbiased, as in that code. It fails for 2 and 3 channels, where k is 1 here, and
gives NaN for the deviation of a single value, which is 0 here. The mixing weights need not sum to
one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk import OddInt, refuse
from zoo_plugins.mechanisms.channel.moments import mean_and_deviation

NAME = "multidimensional_collaborative"


class DimensionGate(nn.Module):
    """(B, C, H, W) -> a gate in (0, 1) along one dimension, the others of size 1."""

    def __init__(self, pooled: tuple[int, int], kernel_size: int, **factory: Any) -> None:
        super().__init__()
        self.pooled = pooled
        self.weight = nn.Parameter(torch.rand(2, **factory))
        padding = (0, kernel_size // 2)
        self.conv = nn.Conv2d(1, 1, (1, kernel_size), padding=padding, bias=False, **factory)

    def forward(self, x: Tensor) -> Tensor:
        mean, std = mean_and_deviation(x, self.pooled)
        share = 0.5 + torch.sigmoid(self.weight)
        t = (share[0] * mean + share[1] * std).to(x.dtype)
        row = t.flatten(1)[:, None, None]
        return torch.sigmoid(self.conv(row)).to(x.dtype).view(t.shape)


class MultidimensionalCollaborative(nn.Module):
    """(B, C, H, W) -> the same shape, scaled by the mean of two or three gates in (0, 1).

    Args:
        channels: C.
        kernel_sizes: along H, W and C, odd; None for C takes it from C, as above.
        channel_branch: with the gate of the channels, True.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_sizes: tuple[OddInt, OddInt, OddInt | None] = (3, 3, None),
        channel_branch: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        height, width, channel = kernel_sizes
        dd: Any = {"device": device, "dtype": dtype}
        self.height = DimensionGate((1, 3), height, **dd)
        self.width = DimensionGate((1, 2), width, **dd)
        k = channel or channel_kernel(channels)
        self.channel = DimensionGate((2, 3), k, **dd) if channel_branch else None

    def forward(self, x: Tensor) -> Tensor:
        gate = self.height(x) + self.width(x)
        if self.channel is None:
            return x * (gate / 2)
        return x * ((gate + self.channel(x)) / 3)

    def init_identity(self) -> float:
        """Start as 0.5 x by zero kernels; returns 0.5. The mixing weights learn from step two."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.zeros_(module.weight)
        return 0.5


def channel_kernel(channels: int) -> int:
    """k along C: rounded, an even number lowered to the odd one below it, and at least 1."""
    k = round(abs(math.log2(channels) - 1) / 1.5)
    return max(k if k % 2 else k - 1, 1)


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The authors' `no_spatial`, which leaves out the gate of the channels."""
    found = dict(options)
    without = found.pop("no_spatial", None)
    if without is not None and found.setdefault("channel_branch", not without) is bool(without):
        branch = found["channel_branch"]
        refuse(NAME, f"no_spatial={without!r} and channel_branch={branch!r} contradict each other")
    return found
