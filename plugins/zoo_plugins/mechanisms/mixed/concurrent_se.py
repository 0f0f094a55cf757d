"""scSE, concurrent squeeze and excitation (Roy, Navab, Wachinger, MICCAI 2018, arXiv 1803.02579).

    channel: c = sigmoid(W2 relu(W1 mean_hw(x) + b1) + b2)      (B, C, 1, 1)
    spatial: s = sigmoid(w . x + b)                             (B, 1, H, W)
    max: y = max(c x, s x)                                      the authors' code
    sum: y = c x + s x                                          the paper

x, y: (B, C, H, W); W1: (C/r, C), W2: (C, C/r), r = 2. The authors' code takes the maximum of the
two maps, element by element, which is the smaller gate where x < 0. segmentation_models_pytorch
has the sum, with r = 16.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import (
    PositiveFloat,
    PositiveInt,
    bottleneck_width,
    pair_hidden_units_,
    refuse,
    zero_,
)


class ConcurrentSE(nn.Module):
    """(B, C, H, W) -> the same shape, scaled by a gate of its channels and one of its positions.

    Args:
        channels: C.
        reduction: r, 2.
        reduced_channels: the width of the hidden layer itself, instead of C / r.
        channel, spatial: which gates there are; one alone is the paper's cSE or sSE.
        fusion: `max` as in the authors' code, or `sum` as in the paper.
        bias: of all layers.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 2,
        reduced_channels: PositiveInt | None = None,
        channel: bool = True,
        spatial: bool = True,
        fusion: Literal["max", "sum"] = "max",
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if not (channel or spatial):
            refuse("concurrent_se", "channel=False and spatial=False leave no gate")
        self.channel, self.spatial, self.fusion = channel, spatial, fusion
        dd: Any = {"bias": bias, "device": device, "dtype": dtype}
        if channel:
            width = bottleneck_width(channels, reduction, reduced_channels)
            self.fc1 = nn.Linear(channels, width, **dd)
            self.fc2 = nn.Linear(width, channels, **dd)
        if spatial:
            self.conv = nn.Conv2d(channels, 1, 1, **dd)

    def forward(self, x: Tensor) -> Tensor:
        if not self.spatial:
            return x * self.channel_gate(x)
        if not self.channel:
            return x * self.spatial_gate(x)
        if self.fusion == "sum":
            return x * (self.channel_gate(x) + self.spatial_gate(x))
        return torch.maximum(x * self.channel_gate(x), x * self.spatial_gate(x))

    def channel_gate(self, x: Tensor) -> Tensor:
        """(B, C, 1, 1)."""
        gate = torch.sigmoid(self.fc2(F.relu(self.fc1(x.mean((2, 3))))))
        return gate.unsqueeze(2).unsqueeze(3)

    def spatial_gate(self, x: Tensor) -> Tensor:
        """(B, 1, H, W)."""
        return torch.sigmoid(self.conv(x))

    def init_identity(self) -> float:
        """Start as c x, every parameter learning from the first step; returns c.

        That is 1 for the sum of both gates, 0.5 otherwise.
        """
        if self.channel:
            pair_hidden_units_(self.fc1, self.fc2)
        if self.spatial:
            zero_(self.conv)
        both = self.channel and self.spatial
        return 1.0 if both and self.fusion == "sum" else 0.5
