"""Class attention (Touvron et al., CaiT, ICCV 2021, arXiv 2103.17239, section 3).

    z = [x_class, x_patches],   q = W_q x_class + b_q,   K = W_k z + b_k,   V = W_v z + b_v
    y = W_o concat_i(softmax(d^-1/2 q_i K_i^T) V_i) + b_o                         (eq. 5 to 7)

z: (B, N, C), the class token first; y: (B, 1, C), of the class token alone: patches are read and
never change, so that the cost is linear in N. d: channels of a head. b_k has no effect. Parameter
names are the authors'. (XCiT has one layer for q, k and v, and returns all tokens.)
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from zoo.sdk import PositiveInt
from zoo.sdk.attend import attend, check_mask, check_tokens
from zoo_plugins.mechanisms.self_attention.token_mixer import heads_and_width

NAME = "class_attention"


class ClassAttention(nn.Module):
    """(B, N, C), the class token first -> (B, 1, C).

    Args:
        dim: C.
        num_heads: 8, or fewer if that does not divide C.
        head_dim: d, C / num_heads.
        qkv_bias: of the projections to q, K and V; the authors' networks have them.
        bias: of the last projection.
    """

    def __init__(
        self,
        dim: int,
        *,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        qkv_bias: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_heads, width = heads_and_width(NAME, dim, num_heads, head_dim)
        inner = self.num_heads * width
        dd: Any = {"device": device, "dtype": dtype}
        self.q = nn.Linear(dim, inner, bias=qkv_bias, **dd)
        self.k = nn.Linear(dim, inner, bias=qkv_bias, **dd)
        self.v = nn.Linear(dim, inner, bias=qkv_bias, **dd)
        self.proj = nn.Linear(inner, dim, bias=bias, **dd)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """y of z (B, N, C); mask: (B, N), True where a token is present."""
        check_tokens(NAME, "x", x, self.q.in_features)
        check_mask(NAME, mask, x)
        q, k, v = (self._heads(t) for t in (self.q(x[:, :1]), self.k(x), self.v(x)))
        return self.proj(attend(q, k, v, mask).transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)
