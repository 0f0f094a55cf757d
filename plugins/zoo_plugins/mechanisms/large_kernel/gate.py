"""The block around the gate of a large kernel, and how that kernel is taken apart.

    y = x * A(x)                                without projections: the gate alone
    y = x + P2(u * A(u)),   u = gelu(P1(x))     with projections: the block of the authors' networks

x, y, u: (B, C, H, W); A is the attention map of the subclass, (B, C, H, W), not bounded by a
sigmoid; P1, P2: 1x1 convolutions with a bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class KernelGate(nn.Module):
    """(B, C, H, W) -> the same shape; a subclass says what `attention` is.

    Args:
        channels: C.
        projections: True for the whole block, False for x * A(x).
    """

    def __init__(self, channels: int, projections: bool, device: Any, dtype: Any) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.proj_1 = nn.Conv2d(channels, channels, 1, **dd) if projections else None
        self.proj_2 = nn.Conv2d(channels, channels, 1, **dd) if projections else None

    def attention(self, x: Tensor) -> Tensor:
        """A(x), (B, C, H, W)."""
        raise NotImplementedError

    def last_layer(self) -> nn.Conv2d:
        """The 1x1 convolution whose output is A(x)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        if self.proj_1 is None or self.proj_2 is None:
            return x * self.attention(x)
        hidden = F.gelu(self.proj_1(x))
        return x + self.proj_2(hidden * self.attention(hidden))

    @torch.no_grad()
    def init_identity(self) -> float:
        """Start as x: P2 at zero, or A at one; what is before learns from step two. Returns 1."""
        last = self.last_layer() if self.proj_2 is None else self.proj_2
        last.weight.zero_()
        if last.bias is not None:
            last.bias.fill_(float(self.proj_2 is None))
        return 1.0


def decompose(kernel_size: int, dilation: int) -> tuple[int, int]:
    """(local, dilated): the kernels that together reach about K x K positions.

    The local one has 2d - 1 taps a side, the dilated one K / d, rounded down and then up to an odd
    number. That gives the sizes of VAN (K = 21: 5 and 7) and the whole table of LSKA's code.
    """
    return 2 * dilation - 1, kernel_size // dilation | 1


def read_kernel(options: Mapping[str, Any], kernel_size: int, dilation: int) -> dict[str, Any]:
    """Options with the sizes of the two kernels read: they follow from K and d, and must agree.

    Raises:
        ValueError: if `local_kernel_size` or `dilated_kernel_size` are others than K and d give.
    """
    given = dict(options)
    local, dilated = given.pop("local_kernel_size", None), given.pop("dilated_kernel_size", None)
    spread = given.get("dilation") or dilation
    if dilated is not None and given.get("kernel_size") is None:
        given["kernel_size"] = dilated * spread
    expected = decompose(given.get("kernel_size") or kernel_size, spread)
    for name, value, wanted in zip(
        ("local_kernel_size", "dilated_kernel_size"), (local, dilated), expected, strict=True
    ):
        if value is not None and value != wanted:
            raise ValueError(f"{name} follows from kernel_size and dilation, here {wanted}")
    return given


def depthwise(
    channels: int, kernel_size: int | tuple[int, int], dilation: int = 1, **dd: Any
) -> nn.Conv2d:
    """A depthwise convolution with a bias that keeps the size of the map; kernels are odd."""
    sides = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    padding = (dilation * (sides[0] // 2), dilation * (sides[1] // 2))
    return nn.Conv2d(
        channels, channels, sides, padding=padding, dilation=dilation, groups=channels, **dd
    )
