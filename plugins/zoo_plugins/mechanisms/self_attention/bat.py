"""Bilinear attentional transform (Chi et al., CVPR 2020, "Non-Local Neural Networks With Grouped
Bilinear Attentional Transforms", section 3).

    y = drop(conv(BAT(conv(x)))) + x,   BAT(u) = conv(P u Q)

Each conv is 1x1, BN, ReLU. P and Q are two bs x bs matrices for each of g groups of channels, from
the maxima of relu(BN(conv u)) over rows of blocks and columns of blocks:

    P = sigmoid(conv_p(pool to bs x 1)), rows summing to one
    Q = sigmoid(conv_q(pool to 1 x bs)), columns summing to one

and act on the bs x bs grid of blocks of a map, each of t_h x t_w positions: P (x) I and Q (x) I.

x, y: (B, C, H, W). Parameter names are timm's, which follows the authors' image classification
code. timm builds the Kronecker products; here the map is viewed as its grid of blocks instead.
There H and W must be multiples of bs; here a map that is none is padded with zeros after the first
convolution, and cropped.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from timm.layers import ConvNormAct, make_divisible
from torch import Tensor, nn

from zoo.sdk import DropRate, PositiveFloat, PositiveInt, bottleneck_width, check_divisible
from zoo.sdk.precision import wide_einsum, widened

NAME = "bat"


class BilinearTransform(nn.Module):
    """(B, C, H, W) with H and W multiples of `block_size` -> the same shape."""

    def __init__(self, channels: int, block_size: int, groups: int, **dd: Any) -> None:
        super().__init__()
        matrix = block_size**2 * groups
        self.block_size, self.groups = block_size, groups
        self.conv1 = ConvNormAct(channels, groups, 1, **dd)
        factory: Any = {key: dd[key] for key in ("device", "dtype")}
        self.conv_p = nn.Conv2d(groups, matrix, (block_size, 1), **factory)
        self.conv_q = nn.Conv2d(groups, matrix, (1, block_size), **factory)
        self.conv2 = ConvNormAct(channels, channels, 1, **dd)

    def forward(self, x: Tensor) -> Tensor:
        size, groups = self.block_size, self.groups
        pooled = self.conv1(x)
        p = widened(self.conv_p(F.adaptive_max_pool2d(pooled, (size, 1))))
        q = widened(self.conv_q(F.adaptive_max_pool2d(pooled, (1, size))))
        p, q = (t.view(-1, groups, size, size) for t in (p, q))
        # The quotient of sigmoids and their sum, also where all of them round to zero.
        p, q = F.logsigmoid(p).softmax(3), F.logsigmoid(q).softmax(2)
        batch, channels, height, width = x.shape
        high, wide = height // size, width // size
        rows = x.reshape(batch, groups, channels // groups, size, high * width)  # of blocks
        rows = wide_einsum("bgij,bgcjs->bgcis", p, rows)
        columns = rows.reshape(batch, groups, channels // groups * size * high, size, wide)
        y = wide_einsum("bgsjt,bgjk->bgskt", columns, q).to(x.dtype)
        return self.conv2(y.reshape(batch, channels, height, width))


class BilinearAttention(nn.Module):
    """(B, C, H, W) -> the same shape.

    Args:
        channels: C.
        block_size: bs, 7.
        groups: g, 2; it divides the hidden channels.
        reduction: C over the hidden channels; by default 4, and the channels then go to a multiple
            of 8, as in timm.
        reduced_channels: the hidden channels themselves, instead of C / reduction.
        drop_rate: of whole channels in training, 0.2.
        act_layer, norm_layer: as in timm.
    """

    def __init__(
        self,
        channels: int,
        *,
        block_size: PositiveInt = 7,
        groups: PositiveInt = 2,
        reduction: PositiveFloat | None = None,
        reduced_channels: PositiveInt | None = None,
        drop_rate: DropRate = 0.2,
        act_layer: Any = nn.ReLU,
        norm_layer: Any = nn.BatchNorm2d,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        width = make_divisible(channels / 4, 8)
        if reduction or reduced_channels:
            width = bottleneck_width(channels, reduction or 4, reduced_channels)
        check_divisible(NAME, "reduced_channels", width, "groups", groups)
        self.block_size = block_size
        layers: Any = {
            "act_layer": act_layer, "norm_layer": norm_layer, "device": device, "dtype": dtype,
        }  # fmt: skip
        self.conv1 = ConvNormAct(channels, width, 1, **layers)
        self.ba = BilinearTransform(width, block_size, groups, **layers)
        self.conv2 = ConvNormAct(width, channels, 1, **layers)
        self.dropout = nn.Dropout2d(drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        more = (0, -width % self.block_size, 0, -height % self.block_size)
        y = self.conv1(x)
        if any(more):
            y = self.ba(F.pad(y, more))[:, :, :height, :width]
        else:
            y = self.ba(y)
        return x + self.dropout(self.conv2(y))
