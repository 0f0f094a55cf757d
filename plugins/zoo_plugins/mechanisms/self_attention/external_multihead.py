"""Multi-head external attention (Guo et al., TPAMI 2022, arXiv 2105.02358, section 3.3; EAMLP).

    h_i = M_v norm(M_k F_i),   F = W_1 x + b_1 in heads i,   y = W_o concat(h) + b_o  (eq. 11, 12)

x, y: (B, N, C). W_1 widens to 4C in 4 num_heads heads of width C / num_heads, which share one pair
of memories of S slots. norm: softmax over the N tokens, then over the slots by their sum, as in
`external`. b_1 and M_k's bias have no effect: the softmax over tokens takes them out again.
Parameter names are the authors'.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from zoo.sdk import PositiveInt, check_divisible
from zoo_plugins.mechanisms.self_attention.external import double_normalize
from zoo_plugins.mechanisms.self_attention.heads import largest_divisor

NAME = "external_multihead"


class ExternalMultiHead(nn.Module):
    """(B, N, C) -> the same shape.

    Args:
        dim: C.
        num_heads: before widening; 8, or fewer if that does not divide C.
        coef: how much wider the heads are together than C, 4.
        num_slots: S, by default 256 // coef.
    """

    def __init__(
        self,
        dim: int,
        *,
        num_heads: PositiveInt | None = None,
        coef: PositiveInt = 4,
        num_slots: PositiveInt | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        heads = largest_divisor(dim, 8) if num_heads is None else num_heads
        check_divisible(NAME, "dim", dim, "num_heads", heads)
        slots = max(1, 256 // coef) if num_slots is None else num_slots
        dd: Any = {"device": device, "dtype": dtype}
        self.num_heads = coef * heads
        self.trans_dims = nn.Linear(dim, coef * dim, **dd)
        self.linear_0 = nn.Linear(dim // heads, slots, **dd)
        self.linear_1 = nn.Linear(slots, dim // heads, **dd)
        self.proj = nn.Linear(coef * dim, dim, **dd)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.trans_dims(x).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
        attention = double_normalize(self.linear_0(heads), positions=2, slots=3)
        return self.proj(self.linear_1(attention).transpose(1, 2).flatten(2))
