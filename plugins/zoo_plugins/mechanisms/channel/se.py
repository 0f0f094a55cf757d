"""Squeeze-and-excitation (Hu, Shen, Sun, CVPR 2018, arXiv 1709.01507, section 3).

    y = x * sigmoid(W2 relu(W1 mean_hw(x) + b1) + b2)

x, y: (B, C, H, W); W1: (C/r, C), W2: (C, C/r). The layer is timm's, under timm's parameter names;
what differs is the width: C // reduction as in the paper and the authors' code, where timm rounds
C * rd_ratio to a multiple of 8 (64 channels: 4 here, 8 there; equal from 128 on in a ResNet).
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import SEModule
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, bottleneck_width, pair_hidden_units_
from zoo.sdk.fused import gate_channels, position_mean


class SqueezeExcite(SEModule):
    """(B, C, H, W) -> the same shape, each channel scaled by a gate in (0, 1).

    Args:
        channels: C.
        reduction: r, 16 as in the paper.
        reduced_channels: the width of the hidden layer itself, instead of C / r.
        bias: of both layers (some ports have none).
        act_layer, gate_layer, norm_layer: as in timm.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 16,
        reduced_channels: PositiveInt | None = None,
        bias: bool = True,
        act_layer: Any = nn.ReLU,
        norm_layer: Any = None,
        gate_layer: Any = "sigmoid",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            channels,
            rd_channels=bottleneck_width(channels, reduction, reduced_channels),
            bias=bias,
            act_layer=act_layer,
            norm_layer=norm_layer,
            gate_layer=gate_layer,
            device=device,
            dtype=dtype,
        )

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.act(self.bn(self.fc1(position_mean(x))))  # pyright: ignore[reportOptionalCall]
        return gate_channels(x, self.gate(self.fc2(hidden)))  # pyright: ignore[reportOptionalCall]

    def init_identity(self) -> float:
        """Start as c * x, every parameter learning from the first step; returns c, here 0.5."""
        pair_hidden_units_(self.fc1, self.fc2)
        return self.get_submodule("gate")(torch.zeros(1)).item()
