"""Neighborhood attention, NA (Hassani et al., CVPR 2023, arXiv 2204.07143, section 3.1), and its
dilated form (Hassani and Shi, DiNAT, 2022, arXiv 2209.15001).

    y_i = W_o concat_h(sum_j softmax_j(d^-1/2 q_i . k_j + B_(j - i)) v_j) + b_o           (eq. 2)

x, y: (B, C, H, W). j is one of the k x k positions nearest to i: at a border the window does not
leave the map but moves inwards, so that each position has k^2 keys. With a dilation D it lies on
every D-th row and column, those of i among them. B: (heads, 2k - 1, 2k - 1), learned, by the offset
from the query to the key in dilated steps. d: channels of a head. The bias of K has no effect.

Parameter names are those of the authors' NATTEN 0.14, whose layer takes (B, H, W, C). As there, a
map with a side below k D is padded below and right with zeros, which take part as keys, and the
output is cropped. Later versions of NATTEN have no B.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import register_notrace_module
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveInt
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import only_this_size
from zoo_plugins.mechanisms.self_attention.banded import Line, Side, attend_windows, cut, remembered
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_joint, heads_and_width

NAME = "neighborhood"


@register_notrace_module
class Neighborhood(nn.Module):
    """(B, C, H, W) -> the same shape.

    Args:
        dim: C.
        num_heads: 8, or fewer if that does not divide C.
        head_dim: d, C / num_heads.
        kernel_size: k, odd, 7.
        dilation: D, 1.
        qkv_bias: of the projections to Q, K and V.
        rel_pos_bias: whether there is a B.
    """

    def __init__(
        self,
        dim: int,
        *,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        kernel_size: OddInt = 7,
        dilation: PositiveInt = 1,
        qkv_bias: bool = True,
        rel_pos_bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_heads, width = heads_and_width(NAME, dim, num_heads, head_dim)
        self.kernel_size, self.dilation = kernel_size, dilation
        dd: Any = {"device": device, "dtype": dtype}
        inner, span = self.num_heads * width, 2 * kernel_size - 1
        self.qkv = nn.Linear(dim, 3 * inner, bias=qkv_bias, **dd)
        self.proj = nn.Linear(inner, dim, **dd)
        self.rpb = None
        if rel_pos_bias:
            self.rpb = nn.Parameter(torch.empty(self.num_heads, span, span, **dd))
            nn.init.trunc_normal_(self.rpb, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        check_shape(NAME, "x", x, ("B", self.qkv.in_features, "H", "W"))
        return self.on_map(only_this_size(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def on_map(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        height, width = x.shape[1:3]
        least = self.kernel_size * self.dilation
        x = F.pad(x, (0, 0, 0, max(0, least - width), 0, max(0, least - height)))
        size = x.shape[1], x.shape[2]
        q, k, v = self.qkv(x).flatten(1, 2).unflatten(2, (3, self.num_heads, -1)).unbind(2)
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        rows, columns = (neighbours(n, self.kernel_size, self.dilation) for n in size)
        y = attend_windows(q, k, v, (rows, columns), (size[1], size[1]), bias=self.rpb)
        y = y.transpose(1, 2).flatten(2).unflatten(1, size)
        return self.proj(y[:, :height, :width])

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from the projections of timm's `Attention`, without B; it sees but the window."""
        carry_joint(self, {"qkv": "qkv"}, attention)
        if self.rpb is not None:
            self.rpb.zero_()
        return False


@remembered
def neighbours(side: int, kernel_size: int, dilation: int) -> Side:
    """One side of the map, cut for windows that lie on every `dilation`-th position of it."""
    lines = [range(first, side, dilation) for first in range(dilation)]
    return cut([_line(line, kernel_size) for line in lines], kernel_size)


def _line(places: range, kernel_size: int) -> Line:
    last = len(places) - kernel_size
    starts = [min(max(i - kernel_size // 2, 0), last) for i in range(len(places))]
    return Line(queries=places, keys=places, starts=starts)


def reference_call(module: Any, x: Tensor) -> Tensor:
    """A reference case records maps (B, H, W, C)."""
    return module.on_map(x)
