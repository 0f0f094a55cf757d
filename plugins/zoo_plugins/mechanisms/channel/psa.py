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
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveFloat, PositiveInt, bottleneck_width, check_divisible, refuse

GROUPS = (1, 4, 8, 16)


class PyramidSqueezeAttention(nn.Module):
    """(B, C_in, H, W) -> (B, C, H / stride, W / stride).

    Args:
        channels: C, of the output; a multiple of the number of scales.
        in_channels: C_in, by default C.
        kernel_size: one odd number for each scale, 3, 5, 7, 9.
        groups: of each scale, 1, 4, 8, 16. One number stands for the groups of the convolution
            that is replaced: 1 for the default, more for as many at every scale. By one number or
            by default they are lowered to what divides the channels.
        stride, dilation: of every convolution.
        reduction: of the gate, from C over the scales, 16.
        reduced_channels: the width of its hidden layer itself.
        variant: `official` or `paper`, the order of the scales in the output.
        bias: of the convolutions, False; the gate has biases.
    """

    def __init__(
        self,
        channels: int,
        *,
        in_channels: PositiveInt | None = None,
        kernel_size: Sequence[OddInt] = (3, 5, 7, 9),
        groups: PositiveInt | Sequence[PositiveInt] = 1,
        stride: PositiveInt = 1,
        dilation: PositiveInt = 1,
        reduction: PositiveFloat = 16,
        reduced_channels: PositiveInt | None = None,
        bias: bool = False,
        variant: Literal["official", "paper"] = "official",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        inputs = channels if in_channels is None else in_channels
        scales = len(kernel_size)
        if not scales:
            refuse("psa", f"kernel_size={kernel_size!r} gives no scale", "kernel_size=(3, 5, 7, 9)")
        check_divisible("psa", "channels", channels, "the number of scales", scales)
        split = channels // scales
        width = bottleneck_width(split, reduction, reduced_channels)
        self.reverse = variant == "official"
        dd: Any = {"device": device, "dtype": dtype}
        conv: Any = {"stride": stride, "dilation": dilation, "bias": bias, **dd}
        counts = _groups(groups, scales, inputs, split)
        self.convs = nn.ModuleList(
            nn.Conv2d(inputs, split, k, padding=dilation * (k // 2), groups=count, **conv)
            for k, count in zip(kernel_size, counts, strict=True)
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


def _groups(groups: int | Sequence[int], scales: int, inputs: int, split: int) -> list[int]:
    if isinstance(groups, int):
        wanted = [groups] * scales if groups > 1 else [*GROUPS, *[GROUPS[-1]] * scales][:scales]
        return [math.gcd(count, inputs, split) for count in wanted]
    if len(groups) != scales:
        refuse("psa", f"groups={groups!r} does not give one number for each of {scales} scales")
    for count in groups:
        check_divisible("psa", "in_channels", inputs, "groups", count)
        check_divisible("psa", "channels of a scale", split, "groups", count)
    return list(groups)
