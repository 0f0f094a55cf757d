"""ELA, efficient local attention (Xu, Wan, 2024, arXiv 2403.01123).

    a_h = sigmoid(GN(conv(mean_w(x))))      (B, C, H, 1)
    a_w = sigmoid(GN(conv(mean_h(x))))      (B, C, 1, W)
    y = x * a_h * a_w

x, y: (B, C, H, W). One convolution along the strip, without a bias, and one group norm serve both
directions. The paper has four sizes:

    ELA-T   kernel_size=5   groups=C       norm_groups=32
    ELA-B   kernel_size=7   groups=C       norm_groups=16      the default
    ELA-S   kernel_size=5   groups=C / 8   norm_groups=16
    ELA-L   kernel_size=7   groups=C / 8   norm_groups=16

The authors published no code; this is what most ports compute. timm's layer has a convolution and
a norm of one group for each direction, and SiLU before the sigmoid: `shared=False, norm_groups=1,
activation="silu"`, under timm's parameter names.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveInt, check_divisible, zero_

NAME = "efficient_local"


class EfficientLocal(nn.Module):
    """(B, C, H, W) -> the same shape, each row and each column of each channel scaled.

    Args:
        channels: C.
        kernel_size: of the convolutions along the strips, odd, 7.
        groups: of the convolutions, by default C.
        norm_groups: of the group norm, by default the largest power of two up to 16 that divides C.
        shared: one convolution and one norm for both directions; False gives each its own.
        activation: `silu` between the norm and the sigmoid, or None.
        bias: of the convolutions, False.
        has_skip: add x to the output, False.
    """

    __constants__ = ["shared"]  # so that TorchScript reads only the layers that there are

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: OddInt = 7,
        groups: PositiveInt | None = None,
        norm_groups: PositiveInt | None = None,
        shared: bool = True,
        activation: Literal["silu"] | None = None,
        bias: bool = False,
        has_skip: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        groups = groups or channels
        norm_groups = norm_groups or math.gcd(channels, 16)
        check_divisible(NAME, "channels", channels, "groups", groups)
        check_divisible(NAME, "channels", channels, "norm_groups", norm_groups)
        self.shared, self.has_skip = shared, has_skip
        dd: Any = {"device": device, "dtype": dtype}
        conv: Any = {"groups": groups, "bias": bias, **dd}
        k, reach = kernel_size, kernel_size // 2
        if shared:
            self.conv = nn.Conv1d(channels, channels, k, padding=reach, **conv)
            self.gn = nn.GroupNorm(norm_groups, channels, **dd)
        else:
            self.conv_h = nn.Conv2d(channels, channels, (k, 1), padding=(reach, 0), **conv)
            self.conv_w = nn.Conv2d(channels, channels, (1, k), padding=(0, reach), **conv)
            self.norm_h = nn.GroupNorm(norm_groups, channels, **dd)
            self.norm_w = nn.GroupNorm(norm_groups, channels, **dd)
        self.act = nn.SiLU() if activation == "silu" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if self.shared:
            rows = self.gn(self.conv(x.mean(3))).unsqueeze(3)
            columns = self.gn(self.conv(x.mean(2))).unsqueeze(2)
        else:
            rows = self.norm_h(self.conv_h(x.mean(3, keepdim=True)))
            columns = self.norm_w(self.conv_w(x.mean(2, keepdim=True)))
        y = x * torch.sigmoid(self.act(rows)) * torch.sigmoid(self.act(columns))
        return x + y if self.has_skip else y

    def init_identity(self) -> float:
        """Start as c x by norms of zeros; returns c, 0.25, or 1.25 with the skip.

        The convolutions learn from the second step.
        """
        zero_(*(m for m in self.modules() if isinstance(m, nn.GroupNorm)))
        return 0.25 + self.has_skip
