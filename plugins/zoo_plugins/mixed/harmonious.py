"""Harmonious attention (Li, Zhu, Gong, CVPR 2018, arXiv 1802.08122, section 3.1).

    s = relu(BN(w2 up2(relu(BN(conv3x3_stride2(mean_c(x)))))))       (B, 1, H, W)
    c = relu(BN(W2 relu(BN(W1 mean_hw(x)))))                         (B, C, 1, 1)
    attn = sigmoid(relu(BN(W (s * c))))                              (B, C, H, W), in [1/2, 1)
    y = x * attn                                                     soft attention
    theta = tanh(V mean_hw(x))                                       (B, R, 2), hard attention

x, y: (B, C, H, W). `forward` gives y; `theta(x)` the centres (t_x, t_y) of R regions, and
`regions(x, theta)` the regions themselves, by an affine sampling of fixed scale. They are no part
of y: the network feeds them, cut from the block before, to a local branch. Reference: torchreid,
the accepted implementation (none of the authors' is known), under its parameter names.
W (s * c) + b is s * (W c) + b: no product of the size of the map is convolved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zoo_plugins.common.identity import zero_
from zoo_plugins.common.map_size import size_pair
from zoo_plugins.common.options import (
    check_bool,
    check_choice,
    check_int,
    check_number,
    hidden_width,
    refuse,
)

NAME = "harmonious"


class Harmonious(nn.Module):
    """(B, C, H, W) -> the same shape: the soft attention.

    Args:
        channels: C.
        reduction: r of W1, 16. reduced_channels: the width itself.
        num_regions: R, 4, at first spread from top to bottom.
        region_scale: (s_x, s_y), the regions' width and height relative to the map's, (1, 1/4).
        region_size: (height, width) that the regions are resized to; None: the map's.
        align_corners: of the regions' sampling, False; their resizing always aligns corners.
        bias: of the convolutions; must be True. norm: must be `"batch"`.
        act_layer: not used (timm's builders hand one to every attention).
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: float | None = None,
        reduced_channels: int | None = None,
        num_regions: int = 4,
        region_scale: Sequence[float] = (1.0, 0.25),
        region_size: Sequence[int] | None = None,
        align_corners: bool = False,
        bias: bool = True,
        norm: str = "batch",
        act_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        channels = check_int(NAME, "channels", channels)
        check_choice(NAME, "bias", bias, (True,))
        check_choice(NAME, "norm", norm, ("batch",))
        width = hidden_width(
            NAME,
            channels,
            default=channels // 16,
            reduction=reduction,
            reduced_channels=reduced_channels,
        )
        self.num_regions = check_int(NAME, "num_regions", num_regions)
        self.region_scale = _scale(region_scale)
        self.region_size = region_size and size_pair(NAME, "region_size", region_size)
        self.align_corners = check_bool(NAME, "align_corners", align_corners)
        dd: Any = {"device": device, "dtype": dtype}
        self.soft_attn = SoftAttention(channels, width, dd)
        self.hard_attn = nn.ModuleDict({"fc": nn.Linear(channels, 2 * self.num_regions, **dd)})
        self._centre_regions()

    @torch.no_grad()
    def _centre_regions(self) -> None:
        fc = self.hard_attn["fc"]
        zero_(fc)
        for region in range(self.num_regions):
            fc.get_parameter("bias")[2 * region + 1] = (2 * region + 1) / self.num_regions - 1

    def forward(self, x: Tensor) -> Tensor:
        return x * self.soft_attn(x)

    @torch.jit.unused
    def theta(self, x: Tensor) -> Tensor:
        """Centres of the regions in [-1, 1], (B, R, 2) as (t_x, t_y)."""
        return torch.tanh(self.hard_attn["fc"](x.mean((2, 3)))).unflatten(1, (-1, 2))

    @torch.jit.unused
    def regions(self, x: Tensor, theta: Tensor) -> Tensor:
        """The regions of a map (B, C, H, W): (B, R, C, *region_size), all sampled in one call."""
        batch, channels, height, width = x.shape
        scale = torch.diag(theta.new_tensor(self.region_scale)).expand(*theta.shape[:2], 2, 2)
        affine = torch.cat([scale, theta.unsqueeze(3)], 3).flatten(0, 1)
        size = [len(affine), 1, height, width]
        grid = F.affine_grid(affine, size, align_corners=self.align_corners)
        grid = grid.reshape(batch, -1, width, 2)  # one tall map of all regions
        found = F.grid_sample(x, grid, align_corners=self.align_corners)
        found = found.reshape(batch, -1, height, width)
        if self.region_size is not None:
            found = F.interpolate(found, self.region_size, mode="bilinear", align_corners=True)
        return found.unflatten(1, (channels, -1)).transpose(1, 2)

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


def _scale(scale: Sequence[float]) -> list[float]:
    if not isinstance(scale, Sequence) or isinstance(scale, str) or len(scale) != 2:
        refuse(NAME, f"region_scale={scale!r} is not a pair", "region_scale=(1, 0.25)")
    return [check_number(NAME, "region_scale", side) for side in scale]


def reference_call(module: Harmonious, x: Tensor) -> dict[str, Tensor]:
    """What a reference case records: both attentions, the output, and the regions of x."""
    theta = module.theta(x)
    regions = module.regions(x, theta)
    return {"attn": module.soft_attn(x), "theta": theta, "y": module(x), "regions": regions}
