"""Bottleneck attention module (Park, Woo, Lee, Kweon, BMVC 2018, arXiv 1807.06514, section 3).

    official: y = x * (1 + sigmoid(Mc(x) * Ms(x)))      the authors' code
    paper:    y = x * (1 + sigmoid(Mc(x) + Ms(x)))      eq. 1 and 2

x, y: (B, C, H, W). Mc: (B, C, 1, 1) = FC(relu(BN(FC(mean_hw(x))))), C -> C/r -> C.
Ms: (B, 1, H, W) = 1x1 convolution to C/r, two 3x3 convolutions of dilation 4, 1x1 to one plane.
The code norms before every hidden ReLU and never at a branch's end; the paper has one norm, at each
branch's end. The authors' pooling takes square maps only; here it is global. It goes once after
each of the first three stages of a ResNet.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.sdk import (
    Count,
    PositiveFloat,
    PositiveInt,
    bottleneck_width,
    pair_hidden_units_,
    refuse,
    zero_,
)


class Bam(nn.Module):
    """(B, C, H, W) -> the same shape, scaled by a gate in (1, 2).

    Args:
        channels: C.
        reduction: r, 16.
        reduced_channels: the width of the hidden layers itself, instead of C / r.
        dilation: of the 3x3 convolutions, 4.
        num_dilated_convs: 2.
        num_hidden_layers: of the channel branch, 1.
        variant: `official` or `paper`, as above.
        fusion: `product` or `sum` of the branches, by default the variant's.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 16,
        reduced_channels: PositiveInt | None = None,
        dilation: PositiveInt = 4,
        num_dilated_convs: Count = 2,
        num_hidden_layers: PositiveInt = 1,
        variant: Literal["official", "paper"] = "official",
        fusion: Literal["product", "sum"] | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        paper = variant == "paper"
        if paper and fusion == "product":
            refuse("bam", "variant='paper' adds the branches, and fusion='product' does not")
        self.fusion = fusion or ("sum" if paper else "product")
        width = bottleneck_width(channels, reduction, reduced_channels)
        dd = {"device": device, "dtype": dtype}
        self.channel = _channel_branch(channels, width, num_hidden_layers, paper, dd)
        self.spatial = _spatial_branch(channels, width, num_dilated_convs, dilation, paper, dd)

    def forward(self, x: Tensor) -> Tensor:
        channel = self.channel(x.mean((2, 3))).unsqueeze(2).unsqueeze(3)
        spatial = self.spatial(x)
        if self.fusion == "product":
            return x * (1 + torch.sigmoid(channel * spatial))
        return x * (1 + torch.sigmoid(channel + spatial))

    def init_identity(self) -> float:
        """Start as 1.5 x; returns 1.5.

        Of a product one factor is zero, the spatial one: all of it learns from the first step, the
        channel branch from the second. Of a sum both are.
        """
        _start_at_zero(self.spatial)
        if self.fusion == "sum":
            _start_at_zero(self.channel)
        return 1.5


def _start_at_zero(branch: nn.Sequential) -> None:
    """End the branch in zero: by pairs of hidden units, or the norm that ends the paper's."""
    *_, hidden, norm, _, last = branch
    if isinstance(last, nn.Linear | nn.Conv2d) and isinstance(hidden, nn.Linear | nn.Conv2d):
        pair_hidden_units_(hidden, last, norm)
    else:
        zero_(last)


def _channel_branch(
    channels: int, width: int, hidden: int, paper: bool, dd: dict[str, Any]
) -> nn.Sequential:
    """(B, C) -> (B, C). Names are the authors', without their prefix `gate_c_`."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i in range(hidden):
        layers[f"fc_{i}"] = nn.Linear(width if i else channels, width, **dd)
        if not paper:
            layers[f"bn_{i + 1}"] = nn.BatchNorm1d(width, **dd)
        layers[f"relu_{i + 1}"] = nn.ReLU(inplace=True)
    layers["fc_final"] = nn.Linear(width, channels, **dd)
    if paper:
        layers["bn_final"] = nn.BatchNorm1d(channels, **dd)
    return nn.Sequential(layers)


def _spatial_branch(
    channels: int, width: int, convs: int, dilation: int, paper: bool, dd: dict[str, Any]
) -> nn.Sequential:
    """(B, C, H, W) -> (B, 1, H, W). Names are the authors', without their prefix `gate_s_`."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for name in ("reduce0", *(f"di_{i}" for i in range(convs))):
        if name == "reduce0":
            layers[f"conv_{name}"] = nn.Conv2d(channels, width, 1, **dd)
        else:
            dilated: Any = {"padding": dilation, "dilation": dilation}
            layers[f"conv_{name}"] = nn.Conv2d(width, width, 3, **dilated, **dd)
        if not paper:
            layers[f"bn_{name}"] = nn.BatchNorm2d(width, **dd)
        layers[f"relu_{name}"] = nn.ReLU(inplace=True)
    layers["conv_final"] = nn.Conv2d(width, 1, 1, **dd)
    if paper:
        layers["bn_final"] = nn.BatchNorm2d(1, **dd)
    return nn.Sequential(layers)
