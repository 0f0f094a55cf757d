"""GAM, global attention mechanism (Liu, Shao, Hoffmann, 2021, arXiv 2112.05561).

    channel: x' = x  * sigmoid(W2 relu(W1 x + b1) + b2)                         (eq. 1)
    spatial: y  = x' * shuffle(sigmoid(BN(conv7x7(relu(BN(conv7x7(x')))))))     (eq. 2)

x, y: (B, C, H, W). Nothing is pooled: both gates have the shape of x. W1: C -> C/r and W2: C/r -> C
act on each position's channels; the convolutions are C -> C/r -> C, r = 4.

The authors published no code, and ports differ. The paper groups the convolutions of a ResNet-50
and shuffles its channels; it leaves open where. One port is the default here. The other, widely
copied, multiplies by the channel part without a sigmoid, and shuffles the spatial gate after it:
`channel_gate=None, groups=4, shuffle_groups=4`.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import (
    OddInt,
    PositiveFloat,
    PositiveInt,
    bottleneck_width,
    check_divisible,
    pair_hidden_units_,
    zero_,
)

NAME = "global_attention"


class GlobalAttention(nn.Module):
    """Channel gate, then spatial gate: (B, C, H, W) -> the same shape.

    Args:
        channels: C.
        reduction: r, 4.
        reduced_channels: the width of the hidden layers itself, instead of C / r.
        kernel_size: of the spatial gate, odd, 7.
        groups: of its convolutions, 1; a divisor of C and of the hidden width.
        shuffle_groups: of the channel shuffle of the spatial gate, a divisor of C; 1 leaves the
            order.
        channel_gate: `sigmoid`, or None to multiply by the perceptron's output itself.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 4,
        reduced_channels: PositiveInt | None = None,
        kernel_size: OddInt = 7,
        groups: PositiveInt = 1,
        shuffle_groups: PositiveInt = 1,
        channel_gate: Literal["sigmoid"] | None = "sigmoid",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        width = bottleneck_width(channels, reduction, reduced_channels)
        check_divisible(NAME, "channels", channels, "groups", groups)
        check_divisible(NAME, "reduced_channels", width, "groups", groups)
        check_divisible(NAME, "channels", channels, "shuffle_groups", shuffle_groups)
        self.gated, self.shuffle_groups = channel_gate == "sigmoid", shuffle_groups
        dd: Any = {"device": device, "dtype": dtype}
        conv: Any = {"padding": kernel_size // 2, "groups": groups, **dd}
        self.fc1 = nn.Conv2d(channels, width, 1, **dd)
        self.fc2 = nn.Conv2d(width, channels, 1, **dd)
        self.conv1 = nn.Conv2d(channels, width, kernel_size, **conv)
        self.bn1 = nn.BatchNorm2d(width, **dd)
        self.conv2 = nn.Conv2d(width, channels, kernel_size, **conv)
        self.bn2 = nn.BatchNorm2d(channels, **dd)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.fc2(F.relu(self.fc1(x)))
        x = x * (torch.sigmoid(scale) if self.gated else scale)
        return x * self.spatial_gate(x)

    def spatial_gate(self, x: Tensor) -> Tensor:
        """(B, C, H, W)."""
        hidden = F.relu(self.bn1(self.conv1(x)))
        gate = torch.sigmoid(self.bn2(self.conv2(hidden)))
        if self.shuffle_groups == 1:
            return gate
        return gate.unflatten(1, (self.shuffle_groups, -1)).transpose(1, 2).flatten(1, 2)

    def init_identity(self) -> float:
        """Start as c x; returns c, 0.25, or 0.5 without the channel gate's sigmoid.

        The perceptron learns from the first step, the convolutions from the second.
        """
        pair_hidden_units_(self.fc1, self.fc2)
        zero_(self.bn2)
        if self.gated:
            return 0.25
        nn.init.ones_(self.fc2.get_parameter("bias"))
        return 0.5
