"""Bottleneck self-attention (Srinivas et al., CVPR 2021, arXiv 2101.11605, figure 4; BoTNet).

    y_i = sum_j softmax_j(d^-1/2 q_i . k_j + q_i . (r^h_{j - i} + r^w_{j - i})) v_j

over all positions j of the map. r^h, r^w: learned, by the vertical and the horizontal offset,
shared by the heads; d: channels of a head.

x: (B, C_in, H, W), y: (B, C, H / s, W / s), pooled by the stride s. It is built for one size of
map. The layer is timm's, whose parameter names these are; there q meets r unscaled unless
`scale_pos_embed`; the authors' gist scales q first, hence both.
"""

from __future__ import annotations

from typing import Any

from timm.layers.bottleneck_attn import BottleneckAttn
from torch import Tensor

from zoo.sdk.map_size import require_size
from zoo.sdk.options import check_bool, check_choice, refuse
from zoo.sdk.precision import full_range, widened
from zoo_plugins.mechanisms.self_attention.heads import down_pool, in_and_out, map_size, value_heads

NAME = "bottleneck"


class Bottleneck(BottleneckAttn):
    """(B, C, H, W) -> the same shape, with the default stride and channels.

    Args:
        channels: C. in_channels, out_channels: where they differ.
        feat_size: (H, W) of the input.
        num_heads: 4, lowered to a divisor of C.
        head_dim: d, by default C / num_heads (timm: to a multiple of 8 before dividing).
        stride: s, 1 or 2.
        ceil_mode: pooling rounds odd sizes up; by default only in a convolution's place, that is
            where in_channels is given. timm rounds down.
        qk_ratio: of the width of q and k to C where head_dim is not given, 1.
        qkv_bias: biases in q, k and v.
        scale_pos_embed: scale q . r too.
        dilation, groups: of a replaced convolution; not used.
    """

    def __init__(
        self,
        channels: int,
        *,
        feat_size: Any = None,
        in_channels: int | None = None,
        out_channels: int | None = None,
        num_heads: int | None = None,
        head_dim: int | None = None,
        stride: int = 1,
        ceil_mode: bool | None = None,
        qk_ratio: float = 1.0,
        qkv_bias: bool = False,
        scale_pos_embed: bool = False,
        dilation: int = 1,
        groups: int = 1,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if feat_size is None:
            refuse(NAME, "the size of the map is missing", "feat_size=(14, 14)")
        inputs, outputs = in_and_out(NAME, channels, in_channels, out_channels)
        heads, width = value_heads(NAME, outputs, num_heads, head_dim, qk_ratio, default=4)
        super().__init__(
            inputs,
            outputs,
            map_size(NAME, feat_size),
            num_heads=heads,
            dim_head=width,
            qkv_bias=check_bool(NAME, "qkv_bias", qkv_bias),
            scale_pos_embed=check_bool(NAME, "scale_pos_embed", scale_pos_embed),
            device=device,
            dtype=dtype,
        )
        self.size = map_size(NAME, feat_size)
        ceil = in_channels is not None if ceil_mode is None else ceil_mode
        self.pool = down_pool(check_choice(NAME, "stride", stride, (1, 2)), ceil)

    def forward(self, x: Tensor) -> Tensor:
        x = require_size(NAME, x, self.size)
        widths = [self.dim_out_qk, self.dim_out_qk, self.dim_out_v]
        parts = self.qkv(x).flatten(2).split(widths, 1)
        q, k, v = (part.unflatten(1, (self.num_heads, -1)).flatten(0, 1) for part in parts)
        q = widened(q.transpose(1, 2))  # B heads, HW, d
        rel = self.pos_embed.height_rel
        with full_range(q):
            of_keys, of_places = q @ widened(k), self.pos_embed(q.to(rel.dtype))
        factor = self.scale if self.scale_pos_embed else 1.0
        weights = (of_keys * self.scale + of_places * factor).softmax(2).to(v.dtype)
        y = (v @ weights.transpose(1, 2)).unflatten(0, (-1, self.num_heads)).flatten(1, 2)
        return self.pool(y.unflatten(2, x.shape[2:]))
