"""Blocked local self-attention (Vaswani et al., CVPR 2021, arXiv 2103.12731, section 2.2; HaloNet).

    y_i = sum_j softmax_j(d^-1/2 q_i . k_j + q_i . r_{j - i}) v_j

j: the positions of i's block of b x b and of a halo of h positions around it. r: learned, a row
for each vertical and one for each horizontal offset, shared by the heads; d: channels of a head.

x: (B, C_in, H, W), y: (B, C, H / s, W / s). The layer is timm's, whose parameter names these are
(the authors published none); q meets r unscaled unless `scale_pos_embed`. It asserts that b divides
H and W; here other maps are padded with zeros, as the halo is at the border, and cropped. With a
stride only every s-th position asks (if s divides b, else y is pooled).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from timm.layers.halo_attn import HaloAttn
from torch import Tensor

from zoo.sdk import Count, PositiveFloat, PositiveInt
from zoo_plugins.mechanisms.self_attention.heads import down_pool, in_and_out, value_heads
from zoo_plugins.mechanisms.self_attention.relative_logits import RelativeLogits

NAME = "halo"


class Halo(RelativeLogits, HaloAttn):
    """(B, C, H, W) -> the same shape, with the default stride and channels.

    Args:
        channels: C. in_channels, out_channels: where they differ.
        num_heads: 8, lowered to a divisor of C.
        head_dim: d, by default C / num_heads (timm: to a multiple of 8 before dividing).
        block_size, halo_size: b = 8, h = 3.
        stride: s, 1 or 2. avg_down: pool instead of asking less.
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
        in_channels: PositiveInt | None = None,
        out_channels: PositiveInt | None = None,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        block_size: PositiveInt = 8,
        halo_size: Count = 3,
        stride: Literal[1, 2] = 1,
        avg_down: bool = False,
        ceil_mode: bool | None = None,
        qk_ratio: PositiveFloat = 1.0,
        qkv_bias: bool = False,
        scale_pos_embed: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        inputs, outputs = in_and_out(channels, in_channels, out_channels)
        heads, width = value_heads(NAME, outputs, num_heads, head_dim, qk_ratio, default=8)
        super().__init__(
            inputs,
            outputs,
            stride=stride,
            num_heads=heads,
            dim_head=width,
            block_size=block_size,
            halo_size=halo_size,
            qkv_bias=qkv_bias,
            avg_down=avg_down,
            scale_pos_embed=scale_pos_embed,
            device=device,
            dtype=dtype,
        )
        ceil = in_channels is not None if ceil_mode is None else ceil_mode
        self.down = down_pool(1 if self.block_stride == stride else stride, ceil)
        self.pool = down_pool(1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        more = (0, -width % self.block_size, 0, -height % self.block_size)
        if not torch.jit.is_tracing() and not any(more):  # a trace must fit every size
            return self.down(self._blocks(x))
        rows, columns = -(-height // self.block_stride), -(-width // self.block_stride)
        return self.down(self._blocks(F.pad(x, more))[:, :, :rows, :columns])

    def _blocks(self, x: Tensor) -> Tensor:
        """timm's forward, of a map of whole blocks, with logits that float16 cannot overflow."""
        rows, columns = x.shape[2] // self.block_size, x.shape[3] // self.block_size
        side, window, heads = self.block_size_ds, self.win_size, self.num_heads
        q = self.q(x).unflatten(1, (heads, -1)).flatten(0, 1)  # B heads, d, H, W
        q = q.unflatten(3, (columns, side)).unflatten(2, (rows, side)).permute(0, 2, 4, 3, 5, 1)
        q = q.flatten(3, 4).flatten(1, 2)  # B heads, blocks, b^2, d
        kv = F.pad(self.kv(x), (self.halo_size,) * 4).unflatten(1, (heads, -1)).flatten(0, 1)
        kv = kv.unfold(2, window, self.block_size).unfold(3, window, self.block_size)
        kv = kv.flatten(4).flatten(2, 3).permute(0, 2, 3, 1)  # B heads, blocks, window^2, d + d_v
        k, v = kv.split([self.dim_head_qk, self.dim_head_v], 3)
        y = self.attention_weights(q, k).to(v.dtype) @ v
        y = y.unflatten(2, (side, side)).unflatten(1, (rows, columns))
        y = y.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
        return self.pool(y.unflatten(0, (-1, heads)).flatten(1, 2))
