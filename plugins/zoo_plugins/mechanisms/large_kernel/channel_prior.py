"""Channel prior convolutional attention, CPCA (Huang et al., 2024, arXiv 2306.05196, section 3).

    u = gelu(P(x))
    v = u * (sigmoid(MLP(mean_hw(u))) + sigmoid(MLP(max_hw(u))))      channel prior
    s = DW_5x5(v),  m = s + sum_k DW_(k,1)(DW_(1,k)(s)),  k = 7, 11, 21
    y = P(v * P(m))

x, u, v, s, m, y: (B, C, H, W). P is one 1x1 convolution, used three times; MLP: C -> C/r -> C with
ReLU, shared by both poolings; DW: depthwise; all with biases. As in the authors' code: each sigmoid
comes before the sum, so that the channel gate is in (0, 2), where the paper has one sigmoid of the
sum; the spatial map P(m) has no sigmoid; and there is no residual sum (their block adds it).
Parameter names are the authors', but for the convolutions of DW.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveFloat, PositiveInt, bottleneck_width, refuse
from zoo_plugins.mechanisms.large_kernel.gate import depthwise


class ChannelGate(nn.Module):
    """The channel prior: (B, C, H, W) -> (B, C, 1, 1), each in (0, 2)."""

    def __init__(self, channels: int, width: int, **dd: Any) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, width, 1, **dd)
        self.fc2 = nn.Conv2d(width, channels, 1, **dd)

    def forward(self, x: Tensor) -> Tensor:
        most = x.flatten(2).max(2).values[:, :, None, None]  # its gradient goes to one position
        return self._gate(x.mean((2, 3), keepdim=True)) + self._gate(most)

    def _gate(self, pooled: Tensor) -> Tensor:
        return torch.sigmoid(self.fc2(F.relu(self.fc1(pooled))))


class ChannelPrior(nn.Module):
    """(B, C, H, W) -> the same shape: a channel gate, then a spatial map of strips of many sizes.

    Args:
        channels: C.
        reduction: r, 4 in the authors' network.
        reduced_channels: the width of the MLP's hidden layer itself, instead of C / r.
        kernel_sizes: odd; the first of the square kernel, the others of the pairs of strips.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 4,
        reduced_channels: PositiveInt | None = None,
        kernel_sizes: Sequence[OddInt] = (5, 7, 11, 21),
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        sizes = kernel_sizes[1:]
        if not kernel_sizes or len(set(sizes)) != len(sizes):
            what = f"kernel_sizes={kernel_sizes!r} must name one size, and no strip twice"
            refuse("channel_prior", what)
        self.conv = nn.Conv2d(channels, channels, 1, **dd)
        self.ca = ChannelGate(
            channels, bottleneck_width(channels, reduction, reduced_channels), **dd
        )
        self.square = depthwise(channels, kernel_sizes[0], **dd)
        self.rows = nn.ModuleDict({str(k): depthwise(channels, (1, k), **dd) for k in sizes})
        self.columns = nn.ModuleDict({str(k): depthwise(channels, (k, 1), **dd) for k in sizes})

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.conv(x))
        x = x * self.ca(x)
        return self.conv(x * self.conv(self._strips(x)))

    def _strips(self, x: Tensor) -> Tensor:
        """m, (B, C, H, W)."""
        square = mixed = self.square(x)
        for row, column in zip(self.rows.values(), self.columns.values(), strict=True):
            mixed = mixed + column(row(square))
        return mixed
