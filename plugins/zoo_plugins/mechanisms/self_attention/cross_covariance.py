"""Cross-covariance attention, XCA (El-Nouby et al., XCiT, NeurIPS 2021, arXiv 2106.09681, 3.2).

    A_i = softmax(t_i Q_i^ K_i^T),   head_i = A_i V_i,   y = concat(head) W^O + b^O      (eq. 2)

Q_i, K_i, V_i: (d, N), channels of a head by tokens; ^: every channel divided by its norm over the
N tokens; t_i: a learned number of each head. A: (d, d), channels attend to channels, so that the
cost is linear in N and tokens meet only through these statistics. x, y: (B, N, C).

The paper divides by a temperature; the authors' code multiplies by `temperature`, from 1. Absent
tokens have no share in Q and K.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveInt
from zoo.sdk.precision import wide_matmul, widened
from zoo_plugins.mechanisms.self_attention.token_mixer import TokenMixer


class CrossCovariance(TokenMixer):
    """(B, N, C) -> the same shape.

    Args:
        dim: C.
        num_heads: 8, or fewer if that does not divide C.
        head_dim: d, C / num_heads.
        qkv_bias: of the projection to Q, K and V.
        bias: of the last projection.
    """

    mechanism = "cross_covariance"

    def __init__(
        self,
        dim: int,
        *,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        qkv_bias: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        dd: Any = {"device": device, "dtype": dtype}
        super().__init__(
            dim, num_heads=num_heads, head_dim=head_dim, qkv_bias=qkv_bias, bias=bias, **dd
        )
        self.temperature = nn.Parameter(torch.ones(self.num_heads, 1, 1, **dd))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """y of x (B, N, C); mask: (B, N), True where a token is present."""
        q, k, v = self.project(x, mask)
        if mask is not None:
            absent = ~mask[:, None, :, None]
            q, k = q.masked_fill(absent, 0.0), k.masked_fill(absent, 0.0)
        q, k = (F.normalize(widened(t), dim=2) for t in (q, k))
        weights = (wide_matmul(q.mT, k) * self.temperature).softmax(3)
        return self.merge(v @ weights.to(v.dtype).mT)
