"""Manhattan self-attention (Fan et al., RMT, CVPR 2024, arXiv 2309.11523, section 3.2).

    A = softmax(d^-1/2 R(Q) R(K)^T + D),   y = W_o (concat(A V) + L(V)) + b_o          (eq. 5)
    D_ij = (|row_i - row_j| + |column_i - column_j|) log g,   g = 1 - 2^-(a + b h / heads)

x, y: (B, N, C), N = H W. g: the decay of head h = 0, 1, ...; L: a depthwise 5 x 5 convolution of V
as a map; d: channels of a head, which are even. R rotates pairs of adjacent channels by the angle
i 10000^-t, t from 0 to 1 over the pairs, i the flattened position y W + x.

Decomposed (eq. 6): A of the rows alone, then of the columns, with D of one distance each, and V
goes through both, so that the cost is N (H + W). The paper multiplies g^distance after the softmax;
the authors' code, and this, add its logarithm before. A map has no length, so there is no mask.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import UsageError
from zoo.sdk import NonNegativeFloat, PositiveFloat, PositiveInt, Size, check_divisible
from zoo.sdk.attend import check_tokens
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import as_pair
from zoo_plugins.mechanisms.self_attention.heads import split_heads
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_projections

NAME = "retention"


class Retention(nn.Module):
    """(B, N, C) -> the same shape.

    Args:
        dim: C.
        feat_size: (H, W), by default of a square.
        num_heads: 8, or fewer if that does not divide C. head_dim: d, C / num_heads.
        initial_value: a, 2.
        heads_range: b, 4.
        decomposed: rows first, then columns.
    """

    def __init__(
        self,
        dim: int,
        *,
        feat_size: Size | None = None,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        initial_value: PositiveFloat = 2.0,
        heads_range: NonNegativeFloat = 4.0,
        decomposed: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        heads = split_heads(NAME, dim, num_heads=num_heads, head_dim=head_dim, default=8)
        self.num_heads, self.head_dim = heads
        check_divisible(NAME, "head_dim", self.head_dim, "2 channels", 2)
        self.size = None if feat_size is None else as_pair(feat_size)
        self.decomposed, steps = decomposed, heads_range / self.num_heads
        self.decays = [
            math.log1p(-(2 ** -(initial_value + steps * head))) for head in range(self.num_heads)
        ]
        dd: Any = {"device": device, "dtype": dtype}
        self.q_proj = nn.Linear(dim, dim, **dd)
        self.k_proj = nn.Linear(dim, dim, **dd)
        self.v_proj = nn.Linear(dim, dim, **dd)
        self.lepe = nn.Conv2d(dim, dim, 5, padding=2, groups=dim, **dd)
        self.out_proj = nn.Linear(dim, dim, **dd)

    def forward(self, x: Tensor) -> Tensor:
        check_tokens(NAME, "x", x, self.q_proj.in_features)
        return self.on_map(x.unflatten(1, self._size(x.shape[1]))).flatten(1, 2)

    def on_map(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape, of any size."""
        check_shape(NAME, "x", x, ("B", "H", "W", self.q_proj.in_features))
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        local = self.lepe(v.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        q, k, v = (t.unflatten(3, (self.num_heads, -1)).permute(0, 3, 1, 2, 4) for t in (q, k, v))
        q, k = _rotated(q), _rotated(k)
        y = self._along_both(q, k, v) if self.decomposed else self._whole(q, k, v)
        return self.out_proj(y.permute(0, 2, 3, 1, 4).flatten(3) + local)

    def _whole(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(B, heads, H, W, d) each: every position to every other."""
        rows, columns = (self._fading(n, v) for n in v.shape[2:4])
        decay = rows[:, :, None, :, None] + columns[:, None, :, None, :]  # heads, H, W, H, W
        q, k, flat = (t.flatten(2, 3) for t in (q, k, v))
        decay = decay.flatten(3, 4).flatten(1, 2)
        y = F.scaled_dot_product_attention(q, k, flat, attn_mask=decay[None])
        return y.unflatten(2, v.shape[2:4])

    def _along_both(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The same in each row, then in each column."""
        for side in (3, 2):
            a, b, c = (t.transpose(3, side) for t in (q, k, v))
            decay = self._fading(c.shape[3], v)[None, :, None]
            y = F.scaled_dot_product_attention(a, b, c, attn_mask=decay)
            v = y.transpose(3, side)
        return v

    def _fading(self, side: int, like: Tensor) -> Tensor:
        """log g times the distance along one side, (heads, side, side)."""
        wide = _wide(like)
        place, decays = torch.arange(side, **wide), torch.tensor(self.decays, **wide)
        distance = (place - place[:, None]).abs()
        return (decays[:, None, None] * distance).to(like.dtype)

    def _size(self, tokens: int) -> tuple[int, int]:
        size = self.size or (math.isqrt(tokens), math.isqrt(tokens))
        if size[0] * size[1] != tokens:
            raise UsageError(
                f"{tokens} tokens are no map of {size[0]} x {size[1]}",
                where=f"attention '{NAME}'",
                remedy="feat_size=(H, W)",
            )
        return size

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from the projections of timm's `Attention`, without L; not the same function."""
        carry_projections((self.q_proj, self.k_proj, self.v_proj), self.out_proj, attention)
        for parameter in self.lepe.parameters():
            parameter.zero_()
        return False


def _rotated(x: Tensor) -> Tensor:
    """R(x) of (B, heads, H, W, d)."""
    height, width, channels = x.shape[2:]
    wide = _wide(x)
    speed = 10000 ** -torch.linspace(0, 1, channels // 2, **wide)
    angle = torch.arange(height * width, **wide)[:, None] * speed
    cos, sin = (t.unflatten(0, (height, width)).to(x.dtype) for t in (angle.cos(), angle.sin()))
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(4)


def _wide(x: Tensor) -> dict[str, Any]:
    """On the device of x, in its precision, or float32 if that is less."""
    return {"device": x.device, "dtype": torch.promote_types(x.dtype, torch.float32)}


def reference_call(module: Retention, x: Tensor) -> Tensor:
    """A reference case records maps (B, H, W, C)."""
    return module.on_map(x)
