"""Large selective kernel attention, LSK (Li et al., ICCV 2023, arXiv 2303.09030, section 3.3).

    u_1 = DW_1(x),  u_2 = DW_2(u_1)                       (eq. 1, 2)
    v_i = conv1x1_i(u_i)                                  (B, C/r, H, W)
    w = sigmoid(conv7x7([mean_c [v_1; v_2]; max_c [v_1; v_2]]))        (B, 2, H, W), (eq. 4 to 6)
    A(x) = conv1x1(w_1 v_1 + w_2 v_2)                     (eq. 7)
    y = x * A(x)                                          (eq. 8), or with projections the block
    y = x + P2(u * A(u)),  u = gelu(P1(x))

x, y, A: (B, C, H, W), r = 2. DW_1: depthwise 5x5, DW_2: depthwise 7x7 dilated by 3, on the output
of DW_1, so that the second field is the larger one. All convolutions have biases. The two weights
of a position are independent sigmoids, no softmax, and A itself has no sigmoid. Parameter names are
the authors', those of the gate without `spatial_gating_unit`. Their code is CC BY-NC 4.0; this
is written from the equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveFloat, PositiveInt, bottleneck_width, refuse
from zoo_plugins.mechanisms.large_kernel.gate import KernelGate, depthwise


class LargeSelectiveKernel(KernelGate):
    """(B, C, H, W) -> the same shape, scaled by two large kernels, chosen at each position.

    Args:
        channels: C.
        reduction: r, 2: each of the two kernels has C / r channels.
        reduced_channels: that width itself.
        kernel_sizes: of the two depthwise convolutions, odd, 5 and 7.
        dilations: of the two, 1 and 3.
        squeeze_kernel_size: of the convolution that chooses, odd, 7.
        projections: True for the block with its 1x1 convolutions and its sum, False for x * A(x).
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 2,
        reduced_channels: PositiveInt | None = None,
        kernel_sizes: Sequence[OddInt] = (5, 7),
        dilations: Sequence[PositiveInt] = (1, 3),
        squeeze_kernel_size: OddInt = 7,
        projections: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(channels, projections, device, dtype)
        dd: Any = {"device": device, "dtype": dtype}
        for name, values in (("kernel_sizes", kernel_sizes), ("dilations", dilations)):
            if len(values) != 2:
                refuse("large_selective_kernel", f"{name}={values!r} does not name two kernels")
        width = bottleneck_width(channels, reduction, reduced_channels)
        self.conv0 = depthwise(channels, kernel_sizes[0], dilations[0], **dd)
        self.conv_spatial = depthwise(channels, kernel_sizes[1], dilations[1], **dd)
        self.conv1 = nn.Conv2d(channels, width, 1, **dd)
        self.conv2 = nn.Conv2d(channels, width, 1, **dd)
        size = squeeze_kernel_size
        self.conv_squeeze = nn.Conv2d(2, 2, size, padding=size // 2, **dd)
        self.conv = nn.Conv2d(width, channels, 1, **dd)

    def attention(self, x: Tensor) -> Tensor:
        near = self.conv0(x)
        near, far = self.conv1(near), self.conv2(self.conv_spatial(near))
        both = torch.cat([near, far], 1)
        planes = torch.cat([both.mean(1, keepdim=True), channel_max(both)], 1)
        weights = torch.sigmoid(self.conv_squeeze(planes))
        return self.conv(near * weights[:, :1] + far * weights[:, 1:])

    def last_layer(self) -> nn.Conv2d:
        return self.conv


def channel_max(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, 1, H, W); the gradient goes to one channel, as in the authors' code."""
    return torch.max(x, 1, keepdim=True).values
