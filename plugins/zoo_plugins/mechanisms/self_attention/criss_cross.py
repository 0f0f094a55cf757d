"""Criss-cross attention (Huang et al., ICCV 2019, arXiv 1811.11721, section 3.2, 3.3).

    A_u = softmax over the H + W - 1 positions i of u's column and row of Q_u . K_i   (eq. 1)
    y_u = gamma sum_i A_{i,u} V_i + x_u                                              (eq. 2)

repeated `recurrence` times with the same weights: twice, each position sees the whole map.

x, y: (B, C, H, W); Q, K: C/8 channels; V: C. The position itself counts once (in its row). There
is no scale. The authors' module runs once and their class RCCA defaults to one pass; the paper and
their training script take two, as here. The key's bias has no effect. Parameter names are theirs;
gamma starts at zero.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, bottleneck_width
from zoo.sdk.precision import wide_matmul


class CrissCross(nn.Module):
    """(B, C, H, W) -> the same shape; cost and memory B H W (H + W).

    Args:
        channels: C.
        reduction: C over the channels of queries and keys, 8.
        reduced_channels: the channels of queries and keys themselves, instead of C / 8.
        recurrence: passes with the same weights, 2.
        bias: of the 1x1 convolutions.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 8,
        reduced_channels: PositiveInt | None = None,
        recurrence: PositiveInt = 2,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        width = bottleneck_width(channels, reduction, reduced_channels)
        self.recurrence = recurrence
        dd: Any = {"device": device, "dtype": dtype}
        self.query_conv = nn.Conv2d(channels, width, 1, bias=bias, **dd)
        self.key_conv = nn.Conv2d(channels, width, 1, bias=bias, **dd)
        self.value_conv = nn.Conv2d(channels, channels, 1, bias=bias, **dd)
        self.gamma = nn.Parameter(torch.zeros(1, **dd))

    def init_identity(self) -> float:
        """Start as x, as published: gamma is zero; returns 1."""
        nn.init.zeros_(self.gamma)
        return 1.0

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.recurrence):
            x = x + self.gamma * self._attend(x)
        return x

    def _attend(self, x: Tensor) -> Tensor:
        height = x.shape[2]
        q, k, v = self.query_conv(x), self.key_conv(x), self.value_conv(x)
        itself = torch.eye(height, dtype=torch.bool, device=x.device)
        column = wide_matmul(q.permute(0, 3, 2, 1), k.permute(0, 3, 1, 2))  # B, W, H, H
        column = column.masked_fill(itself, float("-inf")).transpose(1, 2)
        row = wide_matmul(q.permute(0, 2, 3, 1), k.permute(0, 2, 1, 3))  # B, H, W, W
        weights = torch.cat((column, row), 3).softmax(3).to(v.dtype)
        of_column = weights[..., :height].transpose(1, 2) @ v.permute(0, 3, 2, 1)
        of_row = weights[..., height:] @ v.permute(0, 2, 3, 1)
        return of_column.permute(0, 3, 2, 1) + of_row.permute(0, 3, 1, 2)
