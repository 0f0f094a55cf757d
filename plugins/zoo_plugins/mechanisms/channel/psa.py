"""Pyramid squeeze attention (Zhang et al., ACCV 2022, arXiv 2105.14447, section 3.2: EPSANet).

    F_i = conv_i(x)              grouped, kernel k_i, C_in -> C/S, for each of S scales    (eq. 3)
    Z_i = SE(F_i)                one squeeze-and-excitation gate, shared by the scales     (eq. 5)
    y = concat_i(softmax_i(Z)_i * F_i)                                                 (eq. 7 - 9)

x: (B, C_in, H, W), y: (B, C, H', W'). It replaces the 3x3 convolution of a bottleneck; the norm and
ReLU that follow are the block's own. The authors' code puts the largest kernel first in y
(`variant="official"`), the paper the smallest (`"paper"`): the same up to the order of channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk.options import (
    agree,
    check_bool,
    check_choice,
    check_divisible,
    check_int,
    hidden_width,
    refuse,
)

KERNELS = (3, 5, 7, 9)
GROUPS = (1, 4, 8, 16)
VARIANTS = ("official", "paper")


class PyramidSqueezeAttention(nn.Module):
    """(B, C_in, H, W) -> (B, C, H / stride, W / stride).

    Args:
        channels: C, of the output; a multiple of the number of scales. in_channels: by default C.
        kernel_size: one odd number for each scale, 3, 5, 7, 9. num_scales: how many.
        groups: of each scale, 1, 4, 8, 16. One number stands for the groups of the convolution
            that is replaced: 1 for the default, more for as many at every scale. By one number or
            by default they are lowered to what divides the channels.
        stride, dilation: of every convolution.
        reduction: of the gate, from C over the scales, 16. reduced_channels, rd_channels, rd_ratio,
            rd_divisor: its hidden width in other terms.
        variant: `official` or `paper`, the order of the scales in the output.
        bias: of the convolutions, False; the gate has biases.
        act_layer: not used (timm's builders hand one to every attention).
    """

    def __init__(
        self,
        channels: int,
        *,
        in_channels: int | None = None,
        kernel_size: Sequence[int] | None = None,
        num_scales: int | None = None,
        groups: int | Sequence[int] | None = None,
        stride: int = 1,
        dilation: int = 1,
        reduction: float | None = None,
        reduced_channels: int | None = None,
        bias: bool = False,
        variant: str = "official",
        rd_ratio: float | None = None,
        rd_channels: int | None = None,
        rd_divisor: int = 1,
        act_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        channels = check_int("psa", "channels", channels)
        inputs = channels if in_channels is None else check_int("psa", "in_channels", in_channels)
        kernels = _kernels(kernel_size, num_scales)
        check_divisible("psa", "channels", channels, "the number of scales", len(kernels))
        split = channels // len(kernels)
        width = hidden_width(
            "psa",
            split,
            default=split // 16,
            reduction=reduction,
            reduced_channels=reduced_channels,
            rd_ratio=rd_ratio,
            rd_channels=rd_channels,
            rd_divisor=rd_divisor,
        )
        bias = check_bool("psa", "bias", bias)
        stride, dilation = (
            check_int("psa", "stride", stride),
            check_int("psa", "dilation", dilation),
        )
        self.reverse = check_choice("psa", "variant", variant, VARIANTS) == "official"
        dd: Any = {"device": device, "dtype": dtype}
        self.convs = nn.ModuleList(
            nn.Conv2d(
                inputs, split, k, stride, dilation * (k // 2), dilation, group, bias=bias, **dd
            )
            for k, group in zip(kernels, _groups(groups, len(kernels), inputs, split), strict=True)
        )
        self.fc1 = nn.Conv2d(split, width, 1, **dd)
        self.fc2 = nn.Conv2d(width, split, 1, **dd)
        if width < 4 and self.fc1.bias is not None:  # so few units might all start dead
            nn.init.ones_(self.fc1.bias)

    def forward(self, x: Tensor) -> Tensor:
        features = [conv(x) for conv in self.convs]
        if self.reverse:
            features = features[::-1]
        pooled = torch.stack([f.mean((2, 3)) for f in features], 2).unsqueeze(3)  # (B, C/S, S, 1)
        gates = torch.sigmoid(self.fc2(F.relu(self.fc1(pooled))))
        weights = torch.softmax(gates, 2).unsqueeze(4).unbind(2)
        return torch.cat([f * w for f, w in zip(features, weights, strict=True)], 1)


def _kernels(kernel_size: Sequence[int] | None, num_scales: int | None) -> list[int]:
    kernels = list(kernel_size or KERNELS[:num_scales])
    agree("psa", kernel_size=(kernels, len(kernels)), num_scales=num_scales)
    for k in kernels:
        if check_int("psa", "kernel_size", k) % 2 == 0:
            refuse("psa", f"kernel_size={kernel_size!r} has an even number")
    return [int(k) for k in kernels]


def _groups(groups: int | Sequence[int] | None, scales: int, inputs: int, split: int) -> list[int]:
    if isinstance(groups, Sequence):
        if len(groups) != scales:
            refuse("psa", f"groups={groups!r} does not give one number for each of {scales} scales")
        for count in groups:
            check_int("psa", "groups", count)
            check_divisible("psa", "in_channels", inputs, "groups", count)
            check_divisible("psa", "channels of a scale", split, "groups", count)
        return [int(count) for count in groups]
    base = 1 if groups is None else check_int("psa", "groups", groups)
    wanted = [base] * scales if base > 1 else [*GROUPS, *[GROUPS[-1]] * scales][:scales]
    return [math.gcd(count, inputs, split) for count in wanted]
