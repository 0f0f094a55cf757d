"""Polarity-aware linear attention (Meng et al., PolaFormer, ICLR 2025, arXiv 2501.15061, 4).

    q = (W_q x + b_q) / s,   k = (W_k x' + b_k + P) / s,   g = W_g x + b_g
    q+ = relu(q)^p,  q- = relu(-q)^p,  and k+, k- likewise,   p = 1 + a sigmoid(w)        (eq. 9)
    same     = [q+, q-] ([k+, k-]^T V_1) / ([q+, q-] sum_n [k+, k-])                      (eq. 6)
    opposite = [q-, q+] ([k+, k-]^T V_2) / ([q-, q+] sum_n [k+, k-])
    y = W_o (g * concat_i([same, opposite] + D(V_i))) + b_o

x, y: (B, N, C), N = H W. V_1, V_2: the first and the second half of a head's d channels, which are
even. s = softplus(`scale`), (C,); w, `power`, of each head and channel; P, `positional_encoding`,
(N', C). k^T V is made first, so that the cost is linear in N. D: a depthwise convolution of the d
channels of a head, shared by all heads, of V as a map.

The paper's coefficients of polarity are g; the authors' code, and this, multiply D by g as well.
x' = x, or, as in PVT, LN(Conv_R(x)); V of fewer places is stretched to N for D by linear
interpolation along the flattened map, as their code does. A map has no length: there is no mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import NonNegativeFloat, OddInt, PositiveInt, Size, check_divisible
from zoo.sdk.precision import widened
from zoo_plugins.mechanisms.self_attention.focused_linear import (
    around,
    linear_attention,
    local_convolution,
)
from zoo_plugins.mechanisms.self_attention.reduced_map import ReducedMap, split_joint
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_joint


class PolarityLinear(ReducedMap):
    """(B, N, C) -> the same shape.

    Args:
        dim: C.
        feat_size: (H, W).
        num_heads: 8, or fewer if that does not divide C.
        head_dim: d, C / num_heads, which is even.
        alpha: a, 4, so that powers are between 1 and 5.
        kernel_size: of D, 5.
        reduction: R of PVT, 1.
        qkv_bias: of the projections to q, k, V and g.
        bias: of the last projection.
    """

    mechanism = "polarity_linear"

    def __init__(
        self,
        dim: int,
        *,
        feat_size: Size,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        alpha: NonNegativeFloat = 4,
        kernel_size: OddInt = 5,
        reduction: PositiveInt = 1,
        qkv_bias: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        dd: Any = {"device": device, "dtype": dtype}
        super().__init__(
            dim, feat_size=feat_size, num_heads=num_heads, head_dim=head_dim, reduction=reduction,
            bias=bias, **dd,
        )  # fmt: skip
        check_divisible(self.mechanism, "head_dim", self.head_dim, "2 halves", 2)
        self.alpha, places = alpha, self.reduced_size[0] * self.reduced_size[1]
        self.qg = nn.Linear(dim, 2 * dim, bias=qkv_bias, **dd)
        self.kv = nn.Linear(dim, 2 * dim, bias=qkv_bias, **dd)
        self.dwc = local_convolution(self.head_dim, kernel_size, **dd)
        self.power = nn.Parameter(torch.zeros(1, self.num_heads, 1, self.head_dim, **dd))
        self.scale = nn.Parameter(torch.zeros(1, 1, dim, **dd))
        self.positional_encoding = nn.Parameter(torch.zeros(1, places, dim, **dd))

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        q, gate = self.qg(x).chunk(2, 2)
        k, v = self.kv(self.reduced(x)).chunk(2, 2)
        v, scale = self.heads(v), F.softplus(widened(self.scale))
        above, below = self._polar(widened(q) / scale)
        k = torch.cat(self._polar(widened(k + self.positional_encoding) / scale), 3)
        first, second = v.chunk(2, 3)
        same = linear_attention(torch.cat([above, below], 3), k, first)
        opposite = linear_attention(torch.cat([below, above], 3), k, second)
        y = torch.cat([same, opposite], 3).to(x.dtype)
        y = y + around(v, self.dwc, self.reduced_size, self.size)
        return self.proj(y.transpose(1, 2).flatten(2) * gate)

    def _polar(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x+ and x- of x (B, N, C), in heads."""
        x, power = self.heads(x), 1 + self.alpha * widened(self.power).sigmoid()
        return x.relu() ** power, (-x).relu() ** power

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from the projections of timm's `Attention`, g at random; not the same function."""
        carry_joint(self, {"kv": "kv"}, attention)
        theirs = attention.qkv
        for own, given in ((self.qg.weight, theirs.weight), (self.qg.bias, theirs.bias)):
            if own is not None and given is not None and given.shape[0] == 3 * self.dim:
                own[: self.dim].copy_(given[: self.dim])
        self.start_as_average()
        return False


def from_authors(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Their one layer of Swin as two; those of PVT are ours."""
    return split_joint(state, "qkvg", {"qg": "qg", "kv": "kv"})
