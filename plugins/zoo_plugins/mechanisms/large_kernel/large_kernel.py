"""Large kernel attention, LKA (Guo et al., 2023, arXiv 2202.09741, section 3.1).

    A(x) = conv1x1(DWD(DW(x)))          (eq. 1)
    y = x * A(x)                        (eq. 2), or with projections the block
    y = x + P2(u * A(u)),  u = gelu(P1(x))

x, y, A: (B, C, H, W). DW: depthwise, 2d - 1 taps a side; DWD: depthwise, K / d taps a side, dilated
by d; all with biases. K = 21, d = 3 give 5 x 5 and 7 x 7. There is no norm and no sigmoid. The
authors' code has these sizes alone. Their network puts a batch norm before the block and a layer
scale behind it. Parameter names are the authors', those of the gate without
`spatial_gating_unit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from zoo.sdk import PositiveInt
from zoo_plugins.mechanisms.large_kernel.gate import KernelGate, decompose, depthwise, read_kernel


class LargeKernel(KernelGate):
    """(B, C, H, W) -> the same shape, each element scaled by what a large kernel sees around it.

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
        dd: Any = {"device": device, "dtype": dtype}
        local, dilated = decompose(kernel_size, dilation)
        self.conv0 = depthwise(channels, local, **dd)
        self.conv_spatial = depthwise(channels, dilated, dilation, **dd)
        self.conv1 = nn.Conv2d(channels, channels, 1, **dd)

    def attention(self, x: Tensor) -> Tensor:
        return self.conv1(self.conv_spatial(self.conv0(x)))

    def last_layer(self) -> nn.Conv2d:
        return self.conv1


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of authors' code: the two kernels' own sizes, which follow from K and d."""
    return read_kernel(options, 21, 3)
