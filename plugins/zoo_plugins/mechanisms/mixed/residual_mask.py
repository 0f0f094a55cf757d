"""The masks of the Residual Attention Network (Wang et al., CVPR 2017, arXiv 1704.06904, sec. 3).

    y_i = (1 + f(m_i)) * x_i                                                    (eq. 3)

    mixed, f1:    sigmoid(m_ic)                       for each channel and position (eq. 7)
    channel, f2:  m_ic / ||m_i||                      L2 norm over the channels (eq. 8)
    spatial, f3:  sigmoid((m_ic - mean_c) / std_c)    over the positions of a channel (eq. 9)

x, y: (B, C, H, W); m, of the same shape, is a soft mask branch of x: it goes down by max pooling,
up by bilinear interpolation, and ends in two 1x1 convolutions. No numbers of the authors' (Caffe)
code are recorded for the masks alone. Choices made here, to keep a mask at the end of a block
small: one pooling, one pre-activation bottleneck unit of width C / 4 below it, and that width
between the two 1x1 convolutions (the paper: up to three poolings, and C).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, bottleneck_width, zero_


def mixed_mask(m: Tensor) -> Tensor:
    """f1: the sigmoid of (B, C, H, W)."""
    return torch.sigmoid(m)


def channel_mask(m: Tensor) -> Tensor:
    """f2: the L2 norm over the channels is 1."""
    return F.normalize(m, dim=1)


def spatial_mask(m: Tensor) -> Tensor:
    """f3: the sigmoid after each plane has mean 0 and variance 1."""
    return torch.sigmoid(torch.group_norm(m, m.shape[1]))  # one channel a group


class ResidualMask(nn.Module):
    """(B, C, H, W) -> the same shape, (1 + f(m)) x, with the f of a subclass below.

    Args:
        channels: C.
        depth: number of 3x3 max poolings of stride 2, 1. A unit follows each on the way down, and
            each sum of both ways on the way up.
        reduction: C over the hidden width of units and 1x1 convolutions, 4.
        reduced_channels: that width itself.
    """

    bias = True  # of the last convolution

    def __init__(
        self,
        channels: int,
        *,
        depth: PositiveInt = 1,
        reduction: PositiveFloat = 4,
        reduced_channels: PositiveInt | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.depth = depth
        width = bottleneck_width(channels, reduction, reduced_channels)
        dd: Any = {"device": device, "dtype": dtype}
        self.down = nn.ModuleList(PreActBottleneck(channels, width, dd) for _ in range(depth))
        self.up = nn.ModuleList(PreActBottleneck(channels, width, dd) for _ in range(depth - 1))
        self.mask = nn.Sequential(
            nn.BatchNorm2d(channels, **dd),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, width, 1, bias=False, **dd),
            nn.BatchNorm2d(width, **dd),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, channels, 1, bias=self.bias, **dd),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(x, x, self.attention(x))

    def attention(self, x: Tensor) -> Tensor:
        """f(m), (B, C, H, W)."""
        return self.activate(self.mask(self._hourglass(x)))

    def activate(self, m: Tensor) -> Tensor:
        """f."""
        raise NotImplementedError

    def _hourglass(self, x: Tensor) -> Tensor:
        levels = [x]
        for unit in self.down:
            levels.append(unit(F.max_pool2d(levels[-1], 3, 2, 1)))
        m = levels.pop()
        for unit in self.up:
            m = unit(_resize(m, levels[-1]) + levels[-1])
            levels.pop()
        return _resize(m, x)


class ResidualMaskMixed(ResidualMask):
    """(B, C, H, W) -> the same shape, scaled by 1 + sigmoid(m)."""

    def activate(self, m: Tensor) -> Tensor:
        """f1."""
        return mixed_mask(m)

    def init_identity(self) -> float:
        """Start as 1.5 x by a zero last convolution; returns 1.5."""
        zero_(self.mask[-1])
        return 1.5


class ResidualMaskChannel(ResidualMask):
    """(B, C, H, W) -> the same shape, scaled by 1 + m / ||m||, the norm over channels."""

    def activate(self, m: Tensor) -> Tensor:
        """f2."""
        return channel_mask(m)

    def init_identity(self) -> float:
        """Start as (1 + C^-1/2) x by a last convolution of weight 0 and bias 1; returns that."""
        last = self.mask[-1]
        zero_(last)
        bias = last.get_parameter("bias")
        nn.init.ones_(bias)
        return 1 + len(bias) ** -0.5


class ResidualMaskSpatial(ResidualMask):
    """(B, C, H, W) -> the same shape, scaled by 1 + sigmoid(m normed over each plane)."""

    bias = False  # the norm would take it out again

    def activate(self, m: Tensor) -> Tensor:
        """f3."""
        return spatial_mask(m)


class PreActBottleneck(nn.Module):
    """x + conv1x1 . conv3x3 . conv1x1, each after batch norm and ReLU; (B, C, H, W) as it was."""

    def __init__(self, channels: int, width: int, dd: Any) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(channels, **dd),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, width, 1, bias=False, **dd),
            nn.BatchNorm2d(width, **dd),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False, **dd),
            nn.BatchNorm2d(width, **dd),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, channels, 1, bias=False, **dd),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def _resize(m: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(m, like.shape[2:], mode="bilinear", align_corners=True)
