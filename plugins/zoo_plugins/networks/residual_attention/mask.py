"""The attention module: a trunk of residual units, and the mask that a small hourglass gives it.

    x = pre(x),   F = trunk(x),   M = f(m(x))                        p and t units
    residual learning (ARL):  H = (1 + M) F                          (eq. 3)
    naive learning (NAL):     H = M F                                (eq. 1)
    y = post(H)                                                      p units

m goes down by max pooling and up by bilinear interpolation as often as `depth` says; r units at
each level on the way down and up, 2r at the bottom, and one on each skip connection (there is none
from the module's input). Two 1x1 convolutions end it. f is f1 (`mixed`), f2 (`channel`) or f3
(`spatial`), see `zoo_plugins.mechanisms.mixed.residual_mask`.

`variant="tengshaofeng"` is the popular PyTorch port: it pools with padding, adds each level of the
way down to the way up a second time, and the trunk to the last map before the 1x1 convolutions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from timm.layers import register_notrace_function
from torch import Tensor, nn

from zoo_plugins.mechanisms.mixed.residual_mask import channel_mask, mixed_mask, spatial_mask
from zoo_plugins.networks.residual_attention.options import ModuleSettings
from zoo_plugins.networks.residual_attention.units import Units, conv

MASKS = {"mixed": mixed_mask, "channel": channel_mask, "spatial": spatial_mask}


class AttentionModule(nn.Module):
    """(B, C, H, W) -> the same shape; `depth` is how often its mask branch pools."""

    def __init__(self, units: Units, channels: int, depth: int, settings: ModuleSettings) -> None:
        super().__init__()
        self.residual = settings.learning == "arl"
        self.pre = units.row(channels, settings.p)
        self.trunk = units.row(channels, settings.t)
        self.mask: SoftMask | None = None
        if settings.mask != "none":
            self.mask = SoftMask(units, channels, depth, settings)
        self.post = units.row(channels, settings.p)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pre(x)
        y = self.trunk(x)
        if self.mask is not None:
            mask = self.mask(x, y)
            y = torch.addcmul(y, y, mask) if self.residual else y * mask
        return self.post(y)


class SoftMask(nn.Module):
    """(B, C, H, W) -> the mask M, of the same shape."""

    def __init__(self, units: Units, channels: int, depth: int, settings: ModuleSettings) -> None:
        super().__init__()
        self.depth, self.kind = depth, settings.mask
        self.port = settings.port
        levels = range(max(0, depth - 1))
        self.down = nn.ModuleList(units.row(channels, settings.r) for _ in levels)
        self.skip = nn.ModuleList(units.one(channels, channels) for _ in levels)
        self.bottom = units.row(channels, 2 * settings.r)
        self.up = nn.ModuleList(units.row(channels, settings.r) for _ in levels)
        self.norm1 = nn.BatchNorm2d(channels, **units.dd) if units.preact else None
        self.conv1 = conv(channels, channels, 1, **units.dd)
        self.norm2 = nn.BatchNorm2d(channels, **units.dd)
        self.conv2 = conv(channels, channels, 1, **units.dd)

    def forward(self, x: Tensor, trunk: Tensor) -> Tensor:
        m = self._hourglass(x)
        if self.port and self.depth:
            m = m + trunk
        if self.norm1 is not None:
            m = torch.relu_(self.norm1(m))
        m = self.conv2(torch.relu_(self.norm2(self.conv1(m))))
        return MASKS[self.kind](m)

    def _hourglass(self, x: Tensor) -> Tensor:
        if not self.depth:
            return self.bottom(x)
        levels = [x]
        for units in self.down:
            levels.append(units(max_pool(levels[-1], self.port)))
        m = self.bottom(max_pool(levels[-1], self.port))
        for i in reversed(range(len(self.up))):
            level = levels[i + 1]
            m = resize(m, level) + self.skip[i](level)
            m = self.up[i](m + level if self.port else m)
        return resize(m, x)


@register_notrace_function
def max_pool(x: Tensor, padded: bool, size: int = 3) -> Tensor:
    """Halve the map: windows of `size` at stride 2 that begin at the first pixel, as Caffe's.

    The last window may reach over the edge, so that no pixel is lost. `padded` begins before the
    first pixel instead, and rounds down.
    """
    if padded:
        return F.max_pool2d(x, size, 2, (size - 1) // 2)
    height, width = x.shape[2:]
    return F.max_pool2d(x, (min(size, height), min(size, width)), 2, ceil_mode=True)


def resize(m: Tensor, like: Tensor) -> Tensor:
    """m at the height and width of `like`, bilinear between the corners."""
    return F.interpolate(m, like.shape[2:], mode="bilinear", align_corners=True)
