"""Unit force operated attention (Song, UFO-ViT, arXiv 2109.14382, section 3.2).

    head_i = X(Q_i) X(K_i^T V_i),   y = concat(head) W^O + b^O                           (eq. 5)
    X(a) = gamma_i a / |a|_2                                                             (eq. 6)

x, y: (B, N, C). Q, K: (N, d), V: (N, d_v) of each head; the norm is over the last axis, of d
channels for Q and of d_v for K^T V, (d, d_v); gamma: a learned number of each head, in both.
There is no softmax, and K^T V is made first, so that the cost is linear in N.

The authors published no code. The cases are of a port, and the axis of the second norm, the one
gamma of both, and the biases are the port's. It starts gamma at random, here it starts at 1; where
a norm is zero it gives NaN, here zero.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveInt
from zoo.sdk.attend import check_mask, check_tokens
from zoo.sdk.precision import wide_matmul, widened
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_projections, heads_and_width

NAME = "unit_force"


class UnitForce(nn.Module):
    """(B, N, C) -> the same shape.

    Args:
        dim: C.
        num_heads: 8, or fewer if that does not divide C.
        head_dim: d, C / num_heads.
        value_dim: d_v, as many as d.
        qkv_bias: of the projections to Q, K and V.
        bias: of the last projection.
    """

    def __init__(
        self,
        dim: int,
        *,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        value_dim: PositiveInt | None = None,
        qkv_bias: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_heads, width = heads_and_width(NAME, dim, num_heads, head_dim)
        values = width if value_dim is None else value_dim
        dd: Any = {"device": device, "dtype": dtype}
        self.fc_q = nn.Linear(dim, self.num_heads * width, bias=qkv_bias, **dd)
        self.fc_k = nn.Linear(dim, self.num_heads * width, bias=qkv_bias, **dd)
        self.fc_v = nn.Linear(dim, self.num_heads * values, bias=qkv_bias, **dd)
        self.fc_o = nn.Linear(self.num_heads * values, dim, bias=bias, **dd)
        self.gamma = nn.Parameter(torch.ones(1, self.num_heads, 1, 1, **dd))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """y of x (B, N, C); mask: (B, N), True where a token is present."""
        if not torch.jit.is_scripting():
            check_tokens(NAME, "x", x, self.fc_q.in_features)
            check_mask(NAME, mask, x)
        q, k = self._heads(self.fc_q(x)), self._heads(self.fc_k(x))
        v = self._heads(self.fc_v(x))
        if mask is not None:
            absent = ~mask[:, None, :, None]
            k, v = k.masked_fill(absent, 0.0), v.masked_fill(absent, 0.0)
        y = wide_matmul(self._unit(q), self._unit(wide_matmul(k.mT, v)))
        return self.fc_o(y.to(x.dtype).transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    def _unit(self, x: Tensor) -> Tensor:
        """gamma x / |x|, in float32 of float16."""
        return self.gamma * F.normalize(widened(x), dim=3)

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from the projections of timm's `Attention`; not the same function."""
        carry_projections((self.fc_q, self.fc_k, self.fc_v), self.fc_o, attention)
        return False
