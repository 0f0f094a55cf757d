"""Deformable large kernel attention, D-LKA (Azad et al., WACV 2024, arXiv 2309.00121).

    A(x) = conv1x1(DDWD(DDW(x)))
    y = x * A(x), or with projections the block
    y = x + P2(u * A(u)),  u = gelu(P1(x))

    DDW(x)_c(p) = sum_t w_(c,t) x_c(p + d t + o_t(p)),   o = conv(x)

x, y, A: (B, C, H, W); o: (B, 2 k^2, H, W), a row and a column offset in pixels for each tap t, the
same for all channels. It is LKA with deformable depthwise kernels, 5x5 and 7x7 dilated by 3. The
convolution of the offsets is full (C to 2 k^2 channels), with the kernel, dilation and padding of
the one that it moves, and a bias. The deformable ones have no bias, no modulation, and read zeros
outside the map, bilinearly (`torchvision.ops.deform_conv2d`). As in the authors' code, the offsets
do not start at zero. Parameter names are the authors', those of the gate without
`spatial_gating_unit`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import DeformConv2d, deform_conv2d

from zoo.sdk import PositiveInt
from zoo_plugins.mechanisms.large_kernel.gate import KernelGate, decompose


class DeformableDepthwise(nn.Module):
    """A depthwise convolution whose taps move: (B, C, H, W) -> the same shape."""

    __constants__ = ["FARTHEST"]  # of TorchScript
    FARTHEST = 1e5  # pixels: outside of any map, where every value is 0

    def __init__(
        self, channels: int, kernel_size: int, dilation: int, device: Any, dtype: Any
    ) -> None:
        super().__init__()
        same: Any = {"padding": dilation * (kernel_size // 2), "dilation": dilation}
        dd: Any = {"device": device, "dtype": dtype}
        self.offset_net = nn.Conv2d(channels, 2 * kernel_size**2, kernel_size, **same, **dd)
        conv = DeformConv2d(channels, channels, kernel_size, groups=channels, bias=False, **same)
        self.deform_conv = conv.to(**dd)

    def forward(self, x: Tensor) -> Tensor:
        conv, offset = self.deform_conv, self.offset_net(x)
        dtype = torch.promote_types(x.dtype, torch.float32)  # float16 is too coarse for positions
        # What is no number, or beyond an int, makes torchvision read outside the map and crash.
        offset = offset.to(dtype).nan_to_num(nan=self.FARTHEST)
        offset = offset.clamp(-self.FARTHEST, self.FARTHEST)
        y = deform_conv2d(
            x.to(dtype), offset, conv.weight.to(dtype),
            padding=conv.padding, dilation=conv.dilation,
        )  # fmt: skip
        return y.to(x.dtype)


class DeformableLargeKernel(KernelGate):
    """(B, C, H, W) -> the same shape, scaled by a large kernel whose taps move with the image.

    Args:
        channels: C.
        kernel_size: K, the kernel that the two depthwise convolutions stand for.
        dilation: d, of the second of them.
        projections: True for the block with its 1x1 convolutions and its sum, False for x * A(x).
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: PositiveInt = 21,
        dilation: PositiveInt = 3,
        projections: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(channels, projections, device, dtype)
        local, dilated = decompose(kernel_size, dilation)
        self.conv0 = DeformableDepthwise(channels, local, 1, device, dtype)
        self.conv_spatial = DeformableDepthwise(channels, dilated, dilation, device, dtype)
        self.conv1 = nn.Conv2d(channels, channels, 1, device=device, dtype=dtype)

    def attention(self, x: Tensor) -> Tensor:
        return self.conv1(self.conv_spatial(self.conv0(x)))

    def last_layer(self) -> nn.Conv2d:
        return self.conv1
