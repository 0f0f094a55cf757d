"""Gated positional self-attention, GPSA (d'Ascoli et al., ConViT, ICML 2021, arXiv 2103.10697, 3).

    A_h = (1 - s(l_h)) softmax(d^-1/2 Q_h K_h^T) + s(l_h) softmax(v_h . r),   s = sigmoid  (eq. 7)
    y = W_o concat_h(A_h V_h) + b_o

x, y: (B, N, C), N = H W, without a class token. r of a query and a key: (dx, dy, dx^2 + dy^2),
columns and rows from the query to the key; v_h: (3,) and a bias without effect, `pos_proj`; l_h: a
learned number of each head, `gating_param`, from 1. d: channels of a head.

The second softmax is the product of one over rows and one over columns, so it is made as these,
H x H and W x W. The code divides A by its sum, which is 1. Maps need not be square here. A bias of
K has no effect.

The start is the authors' (eq. 4): V is the identity, and where the number of heads is a square
each looks at its own place of a square kernel around the query.
"""

from __future__ import annotations

from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk import NonNegativeFloat, PositiveInt, Size, refuse
from zoo.sdk.attend import attend, check_tokens
from zoo.sdk.map_size import as_pair
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_joint, heads_and_width

NAME = "gated_positional"


class GatedPositional(nn.Module):
    """(B, N, C) -> the same shape.

    Args:
        dim: C.
        feat_size: (H, W).
        num_heads: 8, or fewer if that does not divide C.
        head_dim: d, C / num_heads.
        qkv_bias: of the projections to Q, K and V.
        bias: of the last projection.
        locality_strength: how sharply a head starts at its place, 1.
        local_init: whether it starts as the authors do.
    """

    def __init__(
        self,
        dim: int,
        *,
        feat_size: Size,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        qkv_bias: bool = False,
        bias: bool = True,
        locality_strength: NonNegativeFloat = 1.0,
        local_init: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_heads, width = heads_and_width(NAME, dim, num_heads, head_dim)
        self.size, inner = as_pair(feat_size), self.num_heads * width
        dd: Any = {"device": device, "dtype": dtype}
        self.qk = nn.Linear(dim, 2 * inner, bias=qkv_bias, **dd)
        self.v = nn.Linear(dim, inner, bias=qkv_bias, **dd)
        self.proj = nn.Linear(inner, dim, bias=bias, **dd)
        self.pos_proj = nn.Linear(3, self.num_heads, **dd)
        self.gating_param = nn.Parameter(torch.ones(self.num_heads, **dd))
        if local_init:
            self._start_locally(locality_strength)

    def forward(self, x: Tensor) -> Tensor:
        if not torch.jit.is_scripting():
            self._check(x)
        q, k = self.qk(x).chunk(2, 2)
        q, k, v = self._heads(q), self._heads(k), self._heads(self.v(x))
        gate = self.gating_param.sigmoid()[:, None, None]
        y = (1 - gate) * attend(q, k, v) + gate * self._at_places(v)
        return self.proj(y.transpose(1, 2).flatten(2))

    def position_weights(self) -> tuple[Tensor, Tensor]:
        """softmax(v . r) as its factors over rows (heads, H, H) and columns (heads, W, W)."""
        across, down, squared = self.pos_proj.weight.t()[:, :, None, None].unbind()
        bias = self.pos_proj.bias[:, None, None]
        dy = _offsets(self.size[0], self.pos_proj.weight)
        dx = _offsets(self.size[1], self.pos_proj.weight)
        rows = (down * dy + squared * dy**2 + bias).softmax(2)
        return rows, (across * dx + squared * dx**2).softmax(2)

    def _at_places(self, v: Tensor) -> Tensor:
        """What the second softmax makes of v (B, heads, N, d)."""
        rows, columns = self.position_weights()
        grid = v.unflatten(2, self.size)
        grid = torch.einsum("hxw,bhywd->bhyxd", columns, grid)
        return torch.einsum("hyg,bhgxd->bhyxd", rows, grid).flatten(2, 3)

    def _check(self, x: Tensor) -> None:
        check_tokens(NAME, "x", x, self.v.in_features)
        if x.shape[1] != self.size[0] * self.size[1]:
            what = f"{x.shape[1]} tokens are no map of {self.size[0]} x {self.size[1]}"
            refuse(NAME, what, "feat_size=(H, W)")

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    @torch.no_grad()
    def _start_locally(self, strength: float) -> None:
        """V as the identity, and head i at its own place of a kernel of isqrt(heads) rows."""
        nn.init.eye_(self.v.weight)
        side = isqrt(self.num_heads)
        middle = (side - 1) / 2 if side % 2 == 0 else side // 2
        for head in range(side**2):
            column, row = head // side - middle, head % side - middle
            place = torch.tensor([2.0 * column, 2.0 * row, -1.0])
            self.pos_proj.weight[head].copy_(strength * place)

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from the projections of timm's `Attention`; not the same function."""
        carry_joint(self, {"qk": "qk", "v": "v"}, attention)
        return False


def _offsets(side: int, like: Tensor) -> Tensor:
    """key - query, (side, side), of positions along one side."""
    place = torch.arange(side, device=like.device, dtype=like.dtype)
    return place - place[:, None]
