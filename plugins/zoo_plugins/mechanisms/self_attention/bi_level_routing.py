"""Bi-level routing attention, BRA (Zhu et al., CVPR 2023, arXiv 2303.08810, section 3.2; BiFormer).

    I_r = the k regions s with the largest mean(Q_r) . mean(K_s)
    y = W_o (concat_h softmax(c^-1/2 Q_r [K_s]^T) [V_s] + DW(V)) + b_o,   s in I_r

for each region r of n x n into which the map is cut. x, y: (B, C, H, W); Q, K: c channels in all
heads, V: C. DW: a depthwise convolution with a bias. The routes are the same for all heads and
carry no gradient. Only k regions are met, by gathering their keys and values.

The scale is c^-1/2, not that of the channels of a head, as in the authors' code; so is what happens
where n does not divide the map. "legacy" pads x with zeros below and right, which take part in all,
to n regions a side. "nchw", their later class, has regions of floor(H / n) x floor(W / n), so that
there may be more than n a side, and pads Q, K and V; means are of what is not padded. The bias of K
has no effect, except there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from timm.layers import register_notrace_module
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveInt, check_divisible, refuse
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import only_this_size
from zoo.sdk.precision import wide_matmul, widened
from zoo_plugins.mechanisms.self_attention.heads import largest_divisor, split_heads
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_joint

NAME = "bi_level_routing"
Pair = tuple[int, int]


@register_notrace_module
class BiLevelRouting(nn.Module):
    """(B, C, H, W) -> the same shape.

    Args:
        dim: C.
        num_heads: 8, or fewer if that does not divide C and c.
        head_dim: channels of V in a head, where these are given instead of the number of heads.
        qk_dim: c, C.
        n_win: n, regions a side, 7.
        topk: k, regions that one region attends to, 4; at most all.
        side_dwconv: kernel of DW, 5; None leaves DW out.
        auto_pad: pad maps that n does not divide, which "legacy" refuses without it.
        variant: "legacy", the class of the published networks, or "nchw".
    """

    def __init__(
        self,
        dim: int,
        *,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        qk_dim: PositiveInt | None = None,
        n_win: PositiveInt = 7,
        topk: PositiveInt = 4,
        side_dwconv: OddInt | None = 5,
        auto_pad: bool = True,
        variant: Literal["legacy", "nchw"] = "legacy",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        width = dim if qk_dim is None else qk_dim
        self.num_heads, _ = split_heads(
            NAME, dim, num_heads=num_heads, head_dim=head_dim, default=_heads(dim, width)
        )
        check_divisible(NAME, "qk_dim", width, "num_heads", self.num_heads)
        if topk > n_win**2:
            refuse(NAME, f"topk={topk} is more than the {n_win**2} regions of n_win={n_win}")
        self.n_win, self.topk, self.auto_pad, self.variant = n_win, topk, auto_pad, variant
        self.widths = [width, width, dim]
        dd: Any = {"device": device, "dtype": dtype}
        self.qkv = nn.Linear(dim, sum(self.widths), **dd)
        self.proj = nn.Linear(dim, dim, **dd)
        self.lepe = None
        if side_dwconv is not None:
            pad = side_dwconv // 2
            self.lepe = nn.Conv2d(dim, dim, side_dwconv, padding=pad, groups=dim, **dd)

    def forward(self, x: Tensor) -> Tensor:
        check_shape(NAME, "x", x, ("B", self.qkv.in_features, "H", "W"))
        return self.on_map(only_this_size(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def on_map(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        size = x.shape[1], x.shape[2]
        region = self._region(size)
        if self.variant == "legacy":
            x = _padded(x, region)
        q, k, v = self.qkv(x).split(self.widths, 3)
        q, k, cells = (_regions(_padded(t, region), region) for t in (q, k, v))
        y = self._attend(q, k, cells, self._routes(q, k, size, region))
        y = _whole(y, region, -(-size[1] // region[1]))[:, : size[0], : size[1]]
        if self.lepe is not None:
            local = self.lepe(v.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            y = y + local[:, : size[0], : size[1]]
        return self.proj(y)

    def _region(self, size: Pair) -> Pair:
        """(height, width) of a region, at least 1."""
        if self.variant == "nchw":
            return max(1, size[0] // self.n_win), max(1, size[1] // self.n_win)
        if not self.auto_pad and any(side % self.n_win for side in size):
            what = f"n_win={self.n_win} does not divide a map of {size[0]} x {size[1]}"
            refuse(NAME, what, "auto_pad=True")
        return -(-size[0] // self.n_win), -(-size[1] // self.n_win)

    @torch.no_grad()
    def _routes(self, q: Tensor, k: Tensor, size: Pair, region: Pair) -> Tensor:
        """The regions (B, R, k) that each region attends to, from Q and K (B, R, h w, c)."""
        q, k = (widened(t).sum(2) for t in (q, k))
        if self.variant == "nchw":
            k = k / _real(size, region, k)
        else:
            k = k / (region[0] * region[1])
        return wide_matmul(q, k.mT).topk(min(self.topk, q.shape[1]), 2).indices

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, routes: Tensor) -> Tensor:
        """(B, R, h w, C) from each region to those on its routes."""
        batch, count = q.shape[:2]
        first = torch.arange(batch, device=q.device)[:, None, None] * count
        chosen = (routes + first).flatten()
        k, v = (
            t.flatten(0, 1)
            .index_select(0, chosen)
            .unflatten(0, (-1, routes.shape[2]))
            .flatten(1, 2)
            for t in (k, v)
        )
        q, k, v = (
            t.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for t in (q.flatten(0, 1), k, v)
        )
        y = F.scaled_dot_product_attention(q, k, v, scale=self.widths[0] ** -0.5)
        return y.transpose(1, 2).flatten(2).unflatten(0, (-1, count))

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from the projections of timm's `Attention`, without DW; it sees k regions."""
        if carry_joint(self, {"qkv": "qkv"}, attention):
            rows = self.qkv.weight[: self.widths[0]], self.qkv.bias[: self.widths[0]]
            for row in rows:  # the scale of its heads
                row.mul_(attention.num_heads**0.5)
        if self.lepe is not None:
            for parameter in self.lepe.parameters():
                parameter.zero_()
        return False


def _heads(dim: int, width: int) -> int:
    heads = largest_divisor(dim, 8)
    while width % heads:
        heads = largest_divisor(dim, heads - 1)
    return heads


def _padded(x: Tensor, region: Pair) -> Tensor:
    """(B, H, W, c) with zeros below and right, to whole regions."""
    more = (0, 0, 0, -x.shape[2] % region[1], 0, -x.shape[1] % region[0])
    return F.pad(x, more) if any(more) else x


def _regions(x: Tensor, region: Pair) -> Tensor:
    """(B, H, W, c) -> (B, R, h w, c)."""
    x = x.unflatten(2, (-1, region[1])).unflatten(1, (-1, region[0])).transpose(2, 3)
    return x.flatten(3, 4).flatten(1, 2)


def _whole(x: Tensor, region: Pair, columns: int) -> Tensor:
    """(B, R, h w, c) -> (B, H, W, c), which has that many columns of regions."""
    x = x.unflatten(2, region).unflatten(1, (-1, columns)).transpose(2, 3)
    return x.flatten(3, 4).flatten(1, 2)


def _real(size: Pair, region: Pair, like: Tensor) -> Tensor:
    """How many positions of each region are not padding, (R, 1)."""
    rows, columns = (
        torch.tensor([min(h, n - i) for i in range(0, n, h)], device=like.device)
        for n, h in zip(size, region, strict=True)
    )
    return (rows[:, None] * columns).flatten()[:, None].to(like.dtype)


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the authors: no DW is side_dwconv=0."""
    given = dict(options)
    if given.get("side_dwconv") == 0:
        given["side_dwconv"] = None
    return given


def reference_call(module: Any, x: Tensor) -> Tensor:
    """A reference case records maps (B, H, W, C), or (B, C, H, W) of the later class."""
    return module(x) if module.variant == "nchw" else module.on_map(x)
