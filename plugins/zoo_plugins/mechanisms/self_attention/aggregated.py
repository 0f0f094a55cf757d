"""Aggregated attention (Shi, TransNeXt, CVPR 2024, arXiv 2311.17132, section 3.2 and 3.3).

    [A_l; A_p] = softmax([s(Q) K_l^T + B_l; s(Q) K_p^T + B_p]),   s(Q) = t log(n) (Q + E)
    y = W_o concat_h((A_l + Q T + b_T) V_l + A_p V_p) + b_o

x, y: (B, N, C), N = H W. Q, K: of unit length in each head. K_l, V_l: the w x w positions around
the query, those beyond the map left out; K_p, V_p: of all P positions of
x_p = LN(pool(gelu(W_r x + b_r))), from the same projection. One softmax is over both. n: how many
keys the query has; t = softplus(temperature), E (d,), T (d, w^2) and b_T (w^2,) are learned by
head. B_l: learned, by place in the window; B_p: an MLP of the offset from the pooled position to
the query, in units of which 8 are the side of the map (`pretrain_size`), in logarithms.

Q T + b_T, weights that no key has a part in, are added behind the softmax, from unscaled Q. The
map has one size. Parameter names are the authors'. The local products are made window place by
window place on a shifted map, without copies of the windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, log, log2
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import register_notrace_module
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveInt, Size, refuse
from zoo.sdk.attend import check_tokens
from zoo.sdk.map_size import as_pair
from zoo.sdk.precision import widened
from zoo_plugins.mechanisms.self_attention.banded import remembered
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_joint, heads_and_width

NAME = "aggregated"
HIDDEN = 512  # of the MLP of the offsets
START = 1 / 0.24  # of t


@register_notrace_module
class Aggregated(nn.Module):
    """(B, N, C) -> the same shape.

    Args:
        dim: C.
        feat_size: (H, W).
        num_heads: 8, or fewer if that does not divide C.
        head_dim: d, C / num_heads.
        window_size: w, 3.
        reduction: the pooled map is of H / reduction x W / reduction, rounded down; 2.
        pool_size: of the pooled map, where it does not follow from the reduction.
        pretrain_size: the map of which the units of offsets are, feat_size.
        qkv_bias: of the projections to Q, K and V.
    """

    def __init__(
        self,
        dim: int,
        *,
        feat_size: Size,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        window_size: OddInt = 3,
        reduction: PositiveInt = 2,
        pool_size: Size | None = None,
        pretrain_size: Size | None = None,
        qkv_bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        heads, width = self.num_heads, _ = heads_and_width(NAME, dim, num_heads, head_dim)
        self.size, self.window_size = as_pair(feat_size), window_size
        rows, columns = (max(1, n // reduction) for n in self.size)
        self.pooled = (rows, columns) if pool_size is None else as_pair(pool_size)
        if any(p > n for p, n in zip(self.pooled, self.size, strict=True)):
            refuse(NAME, f"pool_size={self.pooled} is more than feat_size={self.size}")
        self.pretrain_size = self.size if pretrain_size is None else as_pair(pretrain_size)
        dd: Any = {"device": device, "dtype": dtype}
        places, inner = window_size**2, heads * width
        self.q = nn.Linear(dim, inner, bias=qkv_bias, **dd)
        self.kv = nn.Linear(dim, 2 * inner, bias=qkv_bias, **dd)
        self.sr, self.norm = nn.Conv2d(dim, dim, 1, **dd), nn.LayerNorm(dim, **dd)
        self.cpb_fc1, self.cpb_fc2 = nn.Linear(2, HIDDEN, **dd), nn.Linear(HIDDEN, heads, **dd)
        self.proj = nn.Linear(inner, dim, **dd)
        self.temperature = nn.Parameter(torch.full((heads, 1, 1), log(exp(START) - 1), **dd))
        self.query_embedding = nn.Parameter(torch.empty(heads, 1, width, **dd))
        self.relative_pos_bias_local = nn.Parameter(torch.empty(heads, places, **dd))
        self.learnable_tokens = nn.Parameter(torch.empty(heads, width, places, **dd))
        self.learnable_bias = nn.Parameter(torch.zeros(heads, 1, places, **dd))
        nn.init.trunc_normal_(self.query_embedding, std=0.02)
        nn.init.trunc_normal_(self.relative_pos_bias_local, std=0.0004)
        nn.init.trunc_normal_(self.learnable_tokens, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        check_tokens(NAME, "x", x, self.q.in_features)
        if x.shape[1] != self.size[0] * self.size[1]:
            what = f"{x.shape[1]} tokens are no map of {self.size[0]} x {self.size[1]}"
            refuse(NAME, what, "feat_size=(H, W)")
        q, (k, v), (k_pool, v_pool) = self._queries(x), self._keys(x), self._keys(self._pool(x))
        seen = self._seen(x)
        asking = (q + self.query_embedding) * F.softplus(self.temperature)
        count = seen.sum(1, keepdim=True).to(q.dtype) + k_pool.shape[2]
        asking = asking * count.log()
        near = self._near(asking, k) + self.relative_pos_bias_local[:, None]
        far = asking @ k_pool.mT + self._offsets_bias()
        weights = torch.cat([near.masked_fill(~seen, -torch.inf), far], 3).softmax(3)
        near, far = weights.split([seen.shape[1], k_pool.shape[2]], 3)
        near = near + q @ self.learnable_tokens + self.learnable_bias
        y = self._gather(near, v) + far @ v_pool
        return self.proj(y.transpose(1, 2).flatten(2))

    def _queries(self, x: Tensor) -> Tensor:
        """Q, (B, heads, N, d)."""
        return _unit(self.q(x).unflatten(2, (self.num_heads, -1)).transpose(1, 2))

    def _keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """K and V of tokens, (B, heads, M, d) each."""
        k, v = self.kv(x).unflatten(2, (2, self.num_heads, -1)).unbind(2)
        return _unit(k.transpose(1, 2)), v.transpose(1, 2)

    def _pool(self, x: Tensor) -> Tensor:
        """x_p, (B, P, C)."""
        grid = F.gelu(self.sr(x.mT.unflatten(2, self.size)))
        return self.norm(F.adaptive_avg_pool2d(grid, self.pooled).flatten(2).mT)

    def _near(self, q: Tensor, k: Tensor) -> Tensor:
        """q k of each place of the window, (B, heads, N, w^2)."""
        grid = q.unflatten(2, self.size)
        products = [(grid * shifted).sum(4) for shifted in self._shifts(k)]
        return torch.stack(products, 4).flatten(2, 3)

    def _gather(self, weights: Tensor, v: Tensor) -> Tensor:
        """What the weights (B, heads, N, w^2) make of v, (B, heads, N, d)."""
        each = weights.unflatten(2, self.size).unsqueeze(5).unbind(4)
        y = torch.zeros_like(v).unflatten(2, self.size)
        for weight, shifted in zip(each, self._shifts(v), strict=True):
            y = torch.addcmul(y, weight, shifted)
        return y.flatten(2, 3)

    def _shifts(self, x: Tensor) -> Iterator[Tensor]:
        """x (B, heads, N, d) as a map, moved to each place of the window; zeros beyond it."""
        (height, width), side = self.size, self.window_size
        padded = F.pad(x.unflatten(2, self.size), (0, 0, *(side // 2,) * 4))
        for row in range(side):
            for column in range(side):
                yield padded[:, :, row : row + height, column : column + width]

    def _seen(self, x: Tensor) -> Tensor:
        """Which places of its window are on the map, (N, w^2)."""
        reach = torch.arange(self.window_size, device=x.device) - self.window_size // 2
        rows, columns = (torch.arange(n, device=x.device)[:, None] + reach for n in self.size)
        rows, columns = (
            (t >= 0) & (t < n) for t, n in zip((rows, columns), self.size, strict=True)
        )
        return (rows[:, None, :, None] & columns[None, :, None, :]).flatten(2).flatten(0, 1)

    def _offsets_bias(self) -> Tensor:
        """B_p, (heads, N, P); each offset goes through the MLP once."""
        like = self.cpb_fc1.weight
        sides = zip(self.size, self.pooled, self.pretrain_size, strict=True)
        (down, row), (across, column) = (_offsets(*side) for side in sides)
        down, across = (
            torch.tensor(each, device=like.device, dtype=like.dtype) for each in (down, across)
        )
        row, column = (torch.tensor(each, device=like.device) for each in (row, column))
        pairs = torch.cartesian_prod(down, across)
        bias = self.cpb_fc2(F.relu(self.cpb_fc1(pairs))).mT.unflatten(1, (len(down), len(across)))
        bias = bias[:, row[:, None, :, None], column[None, :, None, :]]
        return bias.flatten(3, 4).flatten(1, 2)

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from the projections of timm's `Attention`; not the same function."""
        carry_joint(self, {"q": "q", "kv": "kv"}, attention)
        return False


@remembered
def _offsets(
    side: int, pooled: int, unit: int
) -> tuple[tuple[float, ...], tuple[tuple[int, ...], ...]]:
    """Offsets along one side: the different ones, and which of them each (query, key) has."""
    ends = [(i * side // pooled, -(-(i + 1) * side // pooled)) for i in range(pooled)]
    keys = [(first + last - 1) / 2 for first, last in ends]
    moves = [[(query - key) / max(1, unit - 1) * 8 for key in keys] for query in range(side)]
    known = sorted({move for row in moves for move in row})
    place = {move: number for number, move in enumerate(known)}
    values = tuple((1 if move > 0 else -1) * log2(1 + abs(move)) / 3 for move in known)
    return values, tuple(tuple(place[move] for move in row) for row in moves)


def _unit(x: Tensor) -> Tensor:
    """x with vectors of unit length, whose squares float16 cannot hold."""
    return F.normalize(widened(x), dim=-1).to(x.dtype)
