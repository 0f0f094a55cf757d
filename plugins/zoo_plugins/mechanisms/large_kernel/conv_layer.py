"""A convolution with what follows it, under the names that OpenMMLab's `ConvModule` gives them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class ConvLayer(nn.Module):
    """conv, then a batch norm and SiLU where they are asked for.

    Args:
        channels: of the map, before and after.
        kernel_size: one number, or (height, width); odd.
        groups: `channels` for a depthwise convolution.
        norm_eps: of a batch norm, instead of the convolution's bias; None: no norm.
        act: SiLU at the end.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int | tuple[int, int] = 1,
        *,
        groups: int = 1,
        norm_eps: float | None = None,
        act: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        sides = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        self.conv = nn.Conv2d(
            channels, channels, sides, padding=(sides[0] // 2, sides[1] // 2), groups=groups,
            bias=norm_eps is None, **dd,
        )  # fmt: skip
        norm = None
        if norm_eps is not None:
            norm = nn.BatchNorm2d(channels, eps=norm_eps, momentum=0.03, **dd)
        self.bn = norm if norm is not None else nn.Identity()
        self.act = nn.SiLU(inplace=True) if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))
