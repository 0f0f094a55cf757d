"""Position half of the dual attention network (Fu et al., CVPR 2019, arXiv 1809.02983, 3.2).

    y_i = x_i + gamma sum_j softmax_j(q_i . k_j) v_j                                  (eq. 1, 2)

x, y: (B, C, H, W); q, k: 1x1 convolutions to C/8 channels, v: to C, with biases; no scaling of the
logits. gamma: one learned scalar, which starts at 0.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, bottleneck_width
from zoo.sdk.precision import wide_matmul


class DualAttentionPosition(nn.Module):
    """(B, C, H, W) -> the same shape; each position sees all others.

    Args:
        channels: C.
        reduction: C over the channels of q and k, 8.
        query_channels: the channels of q and k themselves, instead of C / 8.
        bias: of the convolutions, True.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 8,
        query_channels: PositiveInt | None = None,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        width = bottleneck_width(channels, reduction, query_channels)
        dd: Any = {"device": device, "dtype": dtype}
        self.query = nn.Conv2d(channels, width, 1, bias=bias, **dd)
        self.key = nn.Conv2d(channels, width, 1, bias=bias, **dd)
        self.value = nn.Conv2d(channels, channels, 1, bias=bias, **dd)
        self.gamma = nn.Parameter(torch.zeros(1, **dd))

    def forward(self, x: Tensor) -> Tensor:
        query, key = self.query(x).flatten(2), self.key(x).flatten(2)
        weights = torch.softmax(wide_matmul(query.transpose(1, 2), key), 2)  # (B, queries, keys)
        value = self.value(x).flatten(2)
        attended = (value @ weights.transpose(1, 2).to(value.dtype)).view(x.shape)
        return torch.addcmul(x, self.gamma, attended)

    def init_identity(self) -> float:
        """Start as x, as published: gamma is zero; returns 1."""
        with torch.no_grad():
            self.gamma.zero_()
        return 1.0
