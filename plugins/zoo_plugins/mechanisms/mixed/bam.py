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
from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk.identity import pair_hidden_units_, zero_
from zoo.sdk.options import agree, check_choice, check_int, hidden_width

FUSIONS = {"official": "product", "paper": "sum"}


class Bam(nn.Module):
    """(B, C, H, W) -> the same shape, scaled by a gate in (1, 2).

    Args:
        channels: C.
        reduction: r, 16. reduced_channels, rd_channels, rd_ratio, rd_divisor: in other terms.
        dilation: of the 3x3 convolutions, 4.
        num_dilated_convs: 2.
        num_hidden_layers: of the channel branch, 1.
        variant: `official` or `paper`, as above; official unless given.
        fusion: `product` or `sum` of the branches; by default the variant's.
        bias: must be True: all layers have one.
        norm: must be `"batch"`.
        act_layer: not used (timm's builders hand one to every attention).
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: float | None = None,
        reduced_channels: int | None = None,
        dilation: int = 4,
        num_dilated_convs: int = 2,
        num_hidden_layers: int = 1,
        fusion: str | None = None,
        bias: bool = True,
        norm: str = "batch",
        variant: str | None = None,
        rd_ratio: float | None = None,
        rd_channels: int | None = None,
        rd_divisor: int = 1,
        act_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        channels = check_int("bam", "channels", channels)
        width = hidden_width(
            "bam",
            channels,
            default=channels // 16,
            reduction=reduction,
            reduced_channels=reduced_channels,
            rd_ratio=rd_ratio,
            rd_channels=rd_channels,
            rd_divisor=rd_divisor,
        )
        check_choice("bam", "bias", bias, (True,))
        check_choice("bam", "norm", norm, ("batch",))
        self.fusion = _fusion(variant, fusion)
        paper = variant == "paper"
        hidden = check_int("bam", "num_hidden_layers", num_hidden_layers)
        convs = check_int("bam", "num_dilated_convs", num_dilated_convs, 0)
        dilation = check_int("bam", "dilation", dilation)
        dd = {"device": device, "dtype": dtype}
        self.channel = _channel_branch(channels, width, hidden, paper, dd)
        self.spatial = _spatial_branch(channels, width, convs, dilation, paper, dd)

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


def _fusion(variant: str | None, fusion: str | None) -> str:
    if variant is not None:
        check_choice("bam", "variant", variant, tuple(FUSIONS))
    if fusion is not None:
        check_choice("bam", "fusion", fusion, tuple(FUSIONS.values()))
    implied = variant and (variant, FUSIONS[variant])
    return agree("bam", variant=implied, fusion=fusion) or "product"


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
