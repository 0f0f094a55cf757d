"""Grid and block attention (Tu et al., MaxViT, ECCV 2022, arXiv 2204.01697, section 3.2).

    y = W_P concat_heads(softmax(d^-1/2 Q K^T + B) V) + b_P

within each window of P_h x P_w places of the map. Block: a window is contiguous. Grid: its places
lie a P-th of the map apart, so that each window sees the whole map at a coarse step. B: learned, by
the offset between two places of a window; d: channels of a head.

Full block: z = x + y(LN(x)), then z + MLP(LN(z)), with GELU and four times C hidden channels.

x, y: (B, C, H, W). The authors and timm refuse a side that is no multiple of P; here such a map is
extended below and right by places that nobody sees. Parameter names are timm's without `attn.`,
beside `norm1`, `norm2` and `mlp` of the full block. timm has two layouts: rows of `qkv` are [q; k;
v] of each head in turn (`head_first`) or of all heads; the table is by query minus key (`bias`), or
by key minus query, as in the authors' weights (`bias_tf`). A bias of K has no effect.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from timm.layers import Mlp
from torch import Tensor, nn

from zoo.sdk import PositiveInt, Size
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import as_pair
from zoo_plugins.mechanisms.self_attention.heads import split_heads
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_joint

NAME = "grid"
RelPos = Literal["bias", "bias_tf"]


class Grid(nn.Module):
    """(B, C, H, W) -> the same shape.

    Args:
        dim: C.
        partition_type: `grid` or `block`.
        partition_size: P, or (P_h, P_w); 7.
        num_heads: by default C / 32, lowered to a divisor of C. head_dim: d, C / num_heads.
        rel_pos_type: the layout of the table of B; None is without it.
        head_first: the layout of the rows of `qkv`.
        qkv_bias, bias: of the first and the last projection.
        full_block: with the residuals, norms and perceptron of the block.
    """

    def __init__(
        self,
        dim: int,
        *,
        partition_type: Literal["grid", "block"] = "grid",
        partition_size: Size = 7,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        rel_pos_type: RelPos | None = "bias_tf",
        head_first: bool = False,
        qkv_bias: bool = True,
        bias: bool = True,
        full_block: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.dim, self.grid, self.head_first = dim, partition_type == "grid", head_first
        self.window = as_pair(partition_size)
        self.num_heads, self.head_dim = split_heads(
            NAME, dim, num_heads=num_heads, head_dim=head_dim, default=max(1, dim // 32)
        )
        dd: Any = {"device": device, "dtype": dtype}
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias, **dd)
        self.rel_pos = None
        if rel_pos_type is not None:
            self.rel_pos = OffsetBias(self.num_heads, self.window, rel_pos_type, **dd)
        self.proj = nn.Linear(dim, dim, bias=bias, **dd)
        self.norm1 = self.norm2 = self.mlp = None
        if full_block:
            self.norm1 = nn.LayerNorm(dim, 1e-6, **dd)
            self.norm2 = nn.LayerNorm(dim, 1e-6, **dd)
            self.mlp = Mlp(dim, 4 * dim, **dd)

    def forward(self, x: Tensor) -> Tensor:
        check_shape(NAME, "x", x, ("B", self.dim, "H", "W"))
        x = x.permute(0, 2, 3, 1)
        if self.norm1 is None or self.norm2 is None or self.mlp is None:
            return self._attend(x).permute(0, 3, 1, 2)
        x = x + self._attend(self.norm1(x))
        return (x + self.mlp(self.norm2(x))).permute(0, 3, 1, 2)

    def _attend(self, x: Tensor) -> Tensor:
        """y of x (B, H, W, C)."""
        height, width = x.shape[1:3]
        more = (-width % self.window[1], -height % self.window[0])
        whole = F.pad(x, (0, 0, 0, more[0], 0, more[1])) if any(more) else x
        q, k, v = self._heads(self._windows(whole))
        bias = self.rel_pos() if self.rel_pos is not None else None
        bias = self._without(whole, (height, width), bias) if any(more) else bias
        y = self.proj(self._windowed(q, k, v, bias).transpose(2, 3).flatten(3))
        y = self._back(y, whole.shape[1], whole.shape[2])
        return y[:, :height, :width]

    def _windowed(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
        """Attention in each window, of q, k and v (B, windows, heads, N, d).

        Windows and heads are one axis: fast kernels, and ONNX, take q, k, v and B of four axes.
        """
        if bias is not None:
            bias = bias.to(q.dtype).expand(q.shape[1], q.shape[2], -1, -1).flatten(0, 1)[None]
        merged = (t.flatten(1, 2) for t in (q, k, v))
        return F.scaled_dot_product_attention(*merged, attn_mask=bias).unflatten(1, q.shape[1:3])

    def _windows(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, windows, P_h P_w, C)."""
        rows, columns = self.window
        if self.grid:  # the outer axis of each side is in a window
            x = x.unflatten(2, (columns, -1)).unflatten(1, (rows, -1)).permute(0, 2, 4, 1, 3, 5)
        else:
            x = x.unflatten(2, (-1, columns)).unflatten(1, (-1, rows)).permute(0, 1, 3, 2, 4, 5)
        return x.flatten(3, 4).flatten(1, 2)

    def _back(self, y: Tensor, height: int, width: int) -> Tensor:
        """(B, windows, P_h P_w, C) -> (B, H, W, C)."""
        rows, columns = self.window
        y = y.unflatten(2, (rows, columns)).unflatten(1, (height // rows, width // columns))
        order = (0, 3, 1, 4, 2, 5) if self.grid else (0, 1, 3, 2, 4, 5)
        return y.permute(order).flatten(3, 4).flatten(1, 2)

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, windows, N, C) -> q, k, v (B, windows, heads, N, d)."""
        if self.head_first:
            q, k, v = self.qkv(x).unflatten(3, (self.num_heads, -1)).transpose(2, 3).chunk(3, 4)
            return q, k, v
        q, k, v = self.qkv(x).unflatten(3, (3, self.num_heads, -1)).transpose(2, 4).unbind(3)
        return q, k, v

    def _without(self, x: Tensor, size: tuple[int, int], bias: Tensor | None) -> Tensor:
        """B (windows, heads, N, N), in which nobody sees the places outside of the map."""
        outside = torch.full((1, *x.shape[1:3], 1), -math.inf, dtype=x.dtype, device=x.device)
        outside[:, : size[0], : size[1]] = 0.0
        unseen = self._windows(outside)[0, :, None].mT  # windows, 1, 1, N
        return unseen if bias is None else bias.to(x.dtype) + unseen

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from the projections of timm's `Attention`, without B; not the same function, since
        that is of the whole map.
        """
        carry_joint(self, {"qkv": "qkv"}, attention)
        for rows in (self.qkv.weight, self.qkv.bias) if self.head_first else ():
            if rows is not None:
                rows.copy_(rows.unflatten(0, (3, self.num_heads, -1)).transpose(0, 1).flatten(0, 2))
        if self.rel_pos is not None:
            self.rel_pos.relative_position_bias_table.zero_()
        return False


class OffsetBias(nn.Module):
    """B, (heads, P_h P_w, P_h P_w), of a table by the offset between two places of a window."""

    def __init__(
        self,
        num_heads: int,
        window: tuple[int, int],
        layout: RelPos,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.window, self.reversed = window, layout == "bias"
        sides = [2 * side - 1 for side in window]
        shape = (sides[0] * sides[1], num_heads) if self.reversed else (num_heads, *sides)
        table = torch.empty(shape, device=device, dtype=dtype)
        self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))

    def forward(self) -> Tensor:
        table, (rows, columns) = self.relative_position_bias_table, self.window
        if self.reversed:  # by query minus key, which is key minus query from behind
            table = table.t().unflatten(1, (2 * rows - 1, 2 * columns - 1)).flip(1, 2)
        down, across = (_key_minus_query(n, table) + n - 1 for n in (rows, columns))
        bias = table[:, down[:, None, :, None], across[None, :, None, :]]
        return bias.flatten(3).flatten(1, 2)


def _key_minus_query(side: int, like: Tensor) -> Tensor:
    place = torch.arange(side, device=like.device)
    return place - place[:, None]


def reference_call(module: Grid, x: Tensor) -> Tensor:
    """A reference case records maps (B, H, W, C)."""
    return module(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """timm's empty name of no table."""
    return {k: None if (k, v) == ("rel_pos_type", "") else v for k, v in options.items()}
