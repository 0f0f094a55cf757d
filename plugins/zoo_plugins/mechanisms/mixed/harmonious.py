"""Harmonious attention (Li, Zhu, Gong, CVPR 2018, arXiv 1802.08122, section 3.1).

    s = relu(BN(w2 up2(relu(BN(conv3x3_stride2(mean_c(x)))))))       (B, 1, H, W)
    c = relu(BN(W2 relu(BN(W1 mean_hw(x)))))                         (B, C, 1, 1)
    attn = sigmoid(relu(BN(W (s * c))))                              (B, C, H, W), in [1/2, 1)
    y = x * attn                                                     soft attention

x, y: (B, C, H, W). `forward` gives y; `hard_attn` is the paper's hard regional attention, which is
no part of y: the network feeds its regions, cut from the block before, to a local branch. See
`harmonious_regions`, which it is. Reference: torchreid, the accepted implementation (none of the
authors' is known), under its parameter names.
W (s * c) + b is s * (W c) + b: no product of the size of the map is convolved.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, Size, bottleneck_width
from zoo.sdk.take_part import take_part
from zoo_plugins.mechanisms.mixed.harmonious_regions import HarmoniousRegions, Scale


class Harmonious(nn.Module):
    """(B, C, H, W) -> the same shape: the soft attention.

    Args:
        channels: C.
        reduction: r of W1, 16.
        reduced_channels: the width between W1 and W2 itself.
        num_regions, region_scale, region_size, align_corners: of the regions, see
            `harmonious_regions`.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 16,
        reduced_channels: PositiveInt | None = None,
        num_regions: PositiveInt = 4,
        region_scale: Scale = (1.0, 0.25),
        region_size: Size | None = None,
        align_corners: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        width = bottleneck_width(channels, reduction, reduced_channels)
        dd: Any = {"device": device, "dtype": dtype}
        self.soft_attn = SoftAttention(channels, width, dd)
        self.hard_attn = HarmoniousRegions(
            channels,
            num_regions=num_regions,
            region_scale=region_scale,
            region_size=region_size,
            align_corners=align_corners,
            **dd,
        )

    def forward(self, x: Tensor) -> Tensor:
        y = x * self.soft_attn(x)
        if self.training:
            y = take_part(y, [self.hard_attn.fc.weight, self.hard_attn.fc.bias])  # of the regions
        return y

    @torch.jit.unused
    def theta(self, x: Tensor) -> Tensor:
        """Centres of the regions, (B, R, 2)."""
        return self.hard_attn.theta(x)

    @torch.jit.unused
    def regions(self, x: Tensor, theta: Tensor) -> Tensor:
        """The regions of a map, (B, R, C, *region_size)."""
        return self.hard_attn.regions(x, theta)

    def init_identity(self) -> float:
        """Start as c x by a last norm of scale 0 and shift 1, where its ReLU learns; returns c."""
        norm = self.soft_attn.conv.bn
        nn.init.zeros_(norm.weight)
        nn.init.ones_(norm.bias)
        return torch.sigmoid(torch.ones(())).item()


class ConvBlock(nn.Module):
    """relu(BN(conv(x)))."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int, dd: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel_size, stride, kernel_size // 2, **dd)
        self.bn = nn.BatchNorm2d(outputs, **dd)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class SoftAttention(nn.Module):
    """(B, C, H, W) -> attention of the same shape, in [1/2, 1)."""

    def __init__(self, channels: int, width: int, dd: Any) -> None:
        super().__init__()
        first, second = ConvBlock(1, 1, 3, 2, dd), ConvBlock(1, 1, 1, 1, dd)
        self.spatial_attn = nn.ModuleDict({"conv1": first, "conv2": second})
        first, second = ConvBlock(channels, width, 1, 1, dd), ConvBlock(width, channels, 1, 1, dd)
        self.channel_attn = nn.ModuleDict({"conv1": first, "conv2": second})
        self.conv = ConvBlock(channels, channels, 1, 1, dd)

    def forward(self, x: Tensor) -> Tensor:
        spatial = self.spatial_attn["conv1"](x.mean(1, keepdim=True))
        spatial = F.interpolate(spatial, x.shape[2:], mode="bilinear", align_corners=True)
        spatial = self.spatial_attn["conv2"](spatial)
        channel = self.channel_attn["conv1"](x.mean((2, 3), keepdim=True))
        channel = self.channel_attn["conv2"](channel)
        channel = F.conv2d(channel, self.conv.conv.weight)
        bias = self.conv.conv.bias
        product = spatial * channel if bias is None else spatial * channel + bias.view(1, -1, 1, 1)
        return torch.sigmoid(F.relu(self.conv.bn(product)))


def reference_call(module: Harmonious, x: Tensor) -> dict[str, Tensor]:
    """What a reference case records: both attentions, the output, and the regions of x."""
    theta = module.theta(x)
    regions = module.regions(x, theta)
    return {"attn": module.soft_attn(x), "theta": theta, "y": module(x), "regions": regions}
