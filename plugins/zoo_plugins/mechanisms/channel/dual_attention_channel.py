"""Channel half of the dual attention network (Fu et al., CVPR 2019, arXiv 1809.02983, section 3.3).

    official: y = x + gamma softmax_j(-x_i . x_j) X        the authors' code
    paper:    y = x + gamma softmax_j(x_i . x_j) X         eq. 3 and 4

x, y: (B, C, H, W); X: (C, HW), x_i: the plane of channel i. The code subtracts the products from
their maximum, so that the least similar channels get the largest weights. gamma: one learned
scalar, which starts at 0. No projections and no scaling.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.sdk import zero_
from zoo.sdk.precision import wide_matmul


class DualAttentionChannel(nn.Module):
    """(B, C, H, W) -> the same shape; each channel sees all others.

    Args:
        channels: C; nothing depends on it.
        variant: `official` or `paper`, the sign of the similarity, as above.
    """

    def __init__(
        self,
        channels: int,
        *,
        variant: Literal["official", "paper"] = "official",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.sign = -1.0 if variant == "official" else 1.0
        self.gamma = nn.Parameter(torch.zeros(1, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        planes = x.flatten(2)
        logits = self.sign * wide_matmul(planes, planes.transpose(1, 2))
        weights = torch.softmax(logits, 2).to(x.dtype)
        return torch.baddbmm(planes, self.gamma * weights, planes).view(x.shape)

    def init_identity(self) -> float:
        """Start as x, as published: gamma is zero; returns 1."""
        zero_(self)
        return 1.0
