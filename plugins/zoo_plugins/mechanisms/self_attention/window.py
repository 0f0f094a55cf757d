"""Window attention (Liu et al., ICCV 2021, arXiv 2103.14030, section 3.2; Swin Transformer).

    y = W_P concat_heads(softmax(d^-1/2 Q K^T + B) V) + b_P                          (eq. 4)

within each M_h x M_w window of the map. B: learned, by the offset between two positions; d:
channels of a head.

x, y: (B, C, H, W). A map that is no multiple of the window is padded with zeros below and right,
which take part, as in the paper. The layer is timm's copy of the authors', which works on windows
(B windows, M_h M_w, C); parameter names are theirs. Its fused kernel is switched on in eval.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from timm.models.swin_transformer import WindowAttention, window_partition, window_reverse
from torch import Tensor

from zoo.sdk import PositiveInt, Share, Size, refuse
from zoo.sdk.map_size import as_pair
from zoo.sdk.tables import Tables
from zoo_plugins.mechanisms.self_attention.heads import largest_divisor

NAME = "window"


class WindowedAttention(Tables, WindowAttention):
    """(B, C, H, W) -> the same shape.

    Args:
        dim: C.
        num_heads: by default C / 32, lowered to a divisor of C.
        head_dim: d, by default C / num_heads.
        window_size: M, or (M_h, M_w); 7.
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
        qkv_bias: bool = True,
        attn_drop: Share = 0.0,
        proj_drop: Share = 0.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        heads = largest_divisor(dim, dim // 32) if num_heads is None else num_heads
        if head_dim is None and dim % heads:
            refuse(NAME, f"dim={dim} is not divisible by num_heads={heads}", "head_dim=")
        window = as_pair(window_size)
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
        self.window = window
        self.train()

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
        height, width = x.shape[2:]
        rows, columns = self.window
        x = x.permute(0, 2, 3, 1)
        more = (0, 0, 0, -width % columns, 0, -height % rows)
        x = F.pad(x, more) if any(more) else x  # which would copy it
        windows = window_partition(x, self.window).flatten(1, 2)
        windows = super().forward(windows, mask).unflatten(1, self.window)
        y = window_reverse(windows, self.window, x.shape[1], x.shape[2])
        return y[:, :height, :width].permute(0, 3, 1, 2)


def reference_call(module: WindowedAttention, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """What a reference case records: windows (B windows, M_h M_w, C) -> the same."""
    return WindowAttention.forward(module, x, mask)
