"""Bottleneck self-attention (Srinivas et al., CVPR 2021, arXiv 2101.11605, figure 4; BoTNet).

    y_i = sum_j softmax_j(d^-1/2 q_i . k_j + q_i . (r^h_{j - i} + r^w_{j - i})) v_j

over all positions j of the map. r^h, r^w: learned, by the vertical and the horizontal offset,
shared by the heads; d: channels of a head.

x: (B, C_in, H, W), y: (B, C, H / s, W / s), pooled by the stride s. It is built for one size of
map. The layer is timm's, whose parameter names these are; there q meets r unscaled unless
`scale_pos_embed`; the authors' gist scales q first, hence both.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from timm.layers.bottleneck_attn import BottleneckAttn
from torch import Tensor

from zoo.sdk import PositiveFloat, PositiveInt, Size
from zoo.sdk.map_size import as_pair, require_size
from zoo_plugins.mechanisms.self_attention.heads import (
    down_pool,
    in_and_out,
    value_heads,
)
from zoo_plugins.mechanisms.self_attention.relative_logits import RelativeLogits

NAME = "bottleneck"


class Bottleneck(RelativeLogits, BottleneckAttn):
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
    """

    def __init__(
        self,
        channels: int,
        *,
        feat_size: Size,
        in_channels: PositiveInt | None = None,
        out_channels: PositiveInt | None = None,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        stride: Literal[1, 2] = 1,
        ceil_mode: bool | None = None,
        qk_ratio: PositiveFloat = 1.0,
        qkv_bias: bool = False,
        scale_pos_embed: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        inputs, outputs = in_and_out(channels, in_channels, out_channels)
        heads, width = value_heads(NAME, outputs, num_heads, head_dim, qk_ratio, default=4)
        super().__init__(
            inputs,
            outputs,
            as_pair(feat_size),
            num_heads=heads,
            dim_head=width,
            qkv_bias=qkv_bias,
            scale_pos_embed=scale_pos_embed,
            device=device,
            dtype=dtype,
        )
        self.size = as_pair(feat_size)
        ceil = in_channels is not None if ceil_mode is None else ceil_mode
        self.pool = down_pool(stride, ceil)

    def forward(self, x: Tensor) -> Tensor:
        if not torch.jit.is_scripting():
            x = require_size(NAME, x, self.size)
        widths = [self.dim_out_qk, self.dim_out_qk, self.dim_out_v]
        parts = self.qkv(x).flatten(2).split(widths, 1)
        q, k, v = (part.unflatten(1, (self.num_heads, -1)).flatten(0, 1) for part in parts)
        weights = self.attention_weights(q.transpose(1, 2), k.transpose(1, 2)).to(v.dtype)
        y = (v @ weights.transpose(1, 2)).unflatten(0, (-1, self.num_heads)).flatten(1, 2)
        return self.pool(y.unflatten(2, x.shape[2:]))
