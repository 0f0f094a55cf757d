"""Light CBAM: timm's experiment after Woo et al., ECCV 2018 (arXiv 1807.06521).

    channel: x' = x  * sigmoid(MLP((mean_hw(x) + max_hw(x)) / 2))
    spatial: y  = x' * sigmoid(BN(conv7x7((mean_c(x') + max_c(x')) / 2)))

x, y: (B, C, H, W); MLP: C -> C/r -> C with ReLU. CBAM runs the MLP on each pooling and convolves
two planes; this averages the poolings first. It has no paper of its own. Parameter names and
gradients are timm's: a maximum that several positions share is divided between them.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import ConvNormAct
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveFloat, PositiveInt, zero_
from zoo_plugins.mechanisms.mixed.cbam import ChannelGate


class LightChannelGate(ChannelGate):
    """(B, C, H, W) -> the same shape. Its options are CBAM's, but for the poolings."""

    def weight(self, x: Tensor) -> Tensor:
        """The gate itself, (B, C, 1, 1)."""
        pooled = 0.5 * x.mean((2, 3), keepdim=True) + 0.5 * x.amax((2, 3), keepdim=True)
        return torch.sigmoid(self.fc2(self.act(self.fc1(pooled))))


class LightSpatialGate(nn.Module):
    """(B, C, H, W) -> the same shape, each position scaled."""

    def __init__(self, kernel_size: int, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.conv = ConvNormAct(1, 1, kernel_size, apply_act=False, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        plane = 0.5 * x.mean(1, keepdim=True) + 0.5 * x.amax(1, keepdim=True)
        return x * torch.sigmoid(self.conv(plane))

    def init_identity(self) -> float:
        """Start as 0.5 x by the norm's scale at zero; returns 0.5."""
        zero_(self.conv.bn)
        return 0.5


class LightCbam(nn.Module):
    """Channel gate, then spatial gate: (B, C, H, W) -> the same shape.

    Args:
        channels: C.
        reduction: r, 16. timm rounds C / 16; here it is floored, as in `cbam`.
        reduced_channels: the width of the hidden layer itself, instead of C / r.
        kernel_size: of the spatial gate, odd, 7.
        bias: of the MLP, False.
        act_layer: of the MLP.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 16,
        reduced_channels: PositiveInt | None = None,
        kernel_size: OddInt = 7,
        bias: bool = False,
        act_layer: Any = nn.ReLU,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        mlp: Any = {"reduction": reduction, "reduced_channels": reduced_channels, "bias": bias}
        self.channel = LightChannelGate(channels, **mlp, act_layer=act_layer, **dd)
        self.spatial = LightSpatialGate(kernel_size, **dd)

    def forward(self, x: Tensor) -> Tensor:
        return self.spatial(self.channel(x))

    def init_identity(self) -> float:
        """Start as 0.25 x; returns 0.25. The spatial kernel learns from the second step."""
        return self.channel.init_identity() * self.spatial.init_identity()
