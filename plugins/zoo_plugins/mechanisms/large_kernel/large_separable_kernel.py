"""Large separable kernel attention, LSKA (Lau, Po, Rehman, 2024, arXiv 2309.01439, section 3).

    A(x) = conv1x1(DWD_v(DWD_h(DW_v(DW_h(x)))))
    y = x * A(x), or with projections the block
    y = x + P2(u * A(u)),  u = gelu(P1(x))

x, y, A: (B, C, H, W). It is LKA with each depthwise kernel split into a row (1, k) and a column
(k, 1), the row first: DW_h, DW_v have 2d - 1 taps, DWD_h, DWD_v about K / d taps, dilated by d; all
with biases, no norm, no sigmoid. The authors' code has K = 7, 11 with d = 2, and 23, 35, 41, 53
with d = 3, and fails at any other; the rule here gives those sizes and all others. Parameter names
are the authors', those of the gate without `spatial_gating_unit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from zoo.sdk import PositiveInt
from zoo_plugins.mechanisms.large_kernel.gate import KernelGate, decompose, depthwise, read_kernel


class LargeSeparableKernel(KernelGate):
    """(B, C, H, W) -> the same shape, scaled by a large kernel in rows and columns.

    Args:
        channels: C.
        kernel_size: K, the kernel that the convolutions stand for; 7, 11, 23, 35, 41 and 53 in the
            authors' code.
        dilation: d; by default 2 up to K = 11, and 3 above, as in the authors' code.
        projections: True for the block with its 1x1 convolutions and its sum, False for x * A(x).
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: PositiveInt = 23,
        dilation: PositiveInt | None = None,
        projections: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(channels, projections, device, dtype)
        dd: Any = {"device": device, "dtype": dtype}
        spread = dilation or default_dilation(kernel_size)
        local, dilated = decompose(kernel_size, spread)
        self.conv0h = depthwise(channels, (1, local), **dd)
        self.conv0v = depthwise(channels, (local, 1), **dd)
        self.conv_spatial_h = depthwise(channels, (1, dilated), spread, **dd)
        self.conv_spatial_v = depthwise(channels, (dilated, 1), spread, **dd)
        self.conv1 = nn.Conv2d(channels, channels, 1, **dd)

    def attention(self, x: Tensor) -> Tensor:
        local = self.conv0v(self.conv0h(x))
        return self.conv1(self.conv_spatial_v(self.conv_spatial_h(local)))

    def last_layer(self) -> nn.Conv2d:
        return self.conv1


def default_dilation(kernel_size: int) -> int:
    """d of the authors' table."""
    return 2 if kernel_size <= 11 else 3


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of authors' code: the kernels' own sizes, which follow from K and d."""
    kernel_size = options.get("kernel_size") or 23
    return read_kernel(options, kernel_size, default_dilation(kernel_size))
