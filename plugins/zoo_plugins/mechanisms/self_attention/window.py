"""Window attention (Liu et al., ICCV 2021, arXiv 2103.14030, section 3.2; Swin Transformer).

    y = W_P concat_heads(softmax(d^-1/2 Q K^T + B) V) + b_P                          (eq. 4)

within each M_h x M_w window of the map. B: learned, by the offset between two positions; d:
channels of a head.

x, y: (B, C, H, W). A map that is no multiple of the window is padded with zeros below and right,
which take part, as in the paper.

Shifted by (s_h, s_w), as every second layer of Swin is by half a window, the padded map is rolled
up and left by that before it is cut, and y is rolled back. Where a window then holds parts from
both ends of the map, -100 is added to the logits between them. A side that one window covers is not
shifted.

The layer is timm's copy of the authors', which works on windows (B windows, M_h M_w, C); parameter
names are theirs. Its fused kernel is switched on in eval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from timm.models.swin_transformer import WindowAttention, window_partition, window_reverse
from torch import Tensor

from zoo.sdk import Count, PositiveInt, Share, Size, refuse
from zoo.sdk.map_size import as_pair, only_this_size
from zoo.sdk.tables import Tables
from zoo_plugins.mechanisms.self_attention.heads import largest_divisor
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_joint

NAME = "window"


class WindowedAttention(Tables, WindowAttention):
    """(B, C, H, W) -> the same shape.

    Args:
        dim: C.
        num_heads: by default C / 32, lowered to a divisor of C.
        head_dim: d, by default C / num_heads.
        window_size: M, or (M_h, M_w); 7.
        shift_size: s, or (s_h, s_w), below the window; 0.
        qkv_bias: a bias in Q, K and V.
        attn_drop, proj_drop: dropout rates.
    """

    def __init__(
        self,
        dim: int,
        *,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        window_size: Size = 7,
        shift_size: Count | tuple[Count, Count] = 0,
        qkv_bias: bool = True,
        attn_drop: Share = 0.0,
        proj_drop: Share = 0.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        heads = largest_divisor(dim, dim // 32) if num_heads is None else num_heads
        if head_dim is None and dim % heads:
            refuse(NAME, f"dim={dim} is not divisible by num_heads={heads}", "head_dim=")
        window, shift = as_pair(window_size), as_pair(shift_size)
        if any(s >= m for s, m in zip(shift, window, strict=True)):
            refuse(NAME, f"shift_size={shift} is not below window_size={window}")
        super().__init__(
            dim,
            heads,
            head_dim,
            window,
            qkv_bias,
            attn_drop,
            proj_drop,
            device=device,
            dtype=dtype,
        )
        self.window, self.shift = window, shift
        self.train()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        vars(self).setdefault("shift", (0, 0))  # of version 0.1

    def _init_buffers(self) -> None:
        WindowAttention._init_buffers(self)

    def train(self, mode: bool = True) -> WindowedAttention:
        """The fused kernel in eval only: with a learned bias its backward is no faster."""
        super().train(mode)
        self.fused_attn = not mode
        return self

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """`mask`: (windows, M_h M_w, M_h M_w), bool, True where a query sees a key, or added to the
        logits; windows are counted row by row."""
        if mask is not None and mask.dtype == torch.bool:
            mask = torch.zeros_like(mask, dtype=x.dtype).masked_fill(~mask, -math.inf)
        x = only_this_size(x) if any(self.shift) else x
        height, width = x.shape[2:]
        x = x.permute(0, 2, 3, 1)
        more = (0, 0, 0, -width % self.window[1], 0, -height % self.window[0])
        x = F.pad(x, more) if any(more) else x  # which would copy it
        size = x.shape[1], x.shape[2]
        shift = [s if n > m else 0 for s, n, m in zip(self.shift, size, self.window, strict=True)]
        if any(shift):
            mask = add(mask, apart(x, self.window, shift))
            x = x.roll((-shift[0], -shift[1]), (1, 2))
        windows = window_partition(x, self.window).flatten(1, 2)
        windows = super().forward(windows, mask).unflatten(1, self.window)
        y = window_reverse(windows, self.window, *size)
        y = y.roll((shift[0], shift[1]), (1, 2)) if any(shift) else y
        return y[:, :height, :width].permute(0, 3, 1, 2)

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from the projections of timm's `Attention`, without B; it sees but the window."""
        carry_joint(self, {"qkv": "qkv"}, attention)
        self.relative_position_bias_table.zero_()
        return False


def apart(x: Tensor, window: tuple[int, int], shift: Sequence[int]) -> Tensor:
    """-100 between places that only the roll of a map x (B, H, W, C) brought together, else 0.

    Returns:
        (windows, M_h M_w, M_h M_w)
    """
    part = [_parts(n, m, s, x) for n, m, s in zip(x.shape[1:3], window, shift, strict=True)]
    parts = window_partition((3 * part[0][:, None] + part[1])[None, ..., None], window).flatten(1)
    return torch.where(parts[:, None] == parts[:, :, None], 0.0, -100.0).to(x.dtype)


def _parts(side: int, window: int, shift: int, like: Tensor) -> Tensor:
    """Of each place of a rolled side: 0 in the whole windows, 1 before the seam, 2 behind it."""
    place = torch.arange(side, device=like.device)
    return (place >= side - window).int() + (place >= side - shift).int() * bool(shift)


def add(mask: Tensor | None, more: Tensor) -> Tensor:
    """Both masks together."""
    return more if mask is None else mask + more


def reference_call(module: WindowedAttention, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """What a reference case records: windows (B windows, M_h M_w, C) -> the same."""
    return WindowAttention.forward(module, x, mask)
