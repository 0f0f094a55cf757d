"""Outlook attention (Yuan et al., TPAMI 2022, arXiv 2106.13112, section 3.1; VOLO).

    A = softmax(d^-1/2 W_A mean(x))           K^2 x K^2 weights at each position and head
    y = W_P fold(A unfold(W_V x)) + b_P       (eq. 3-5)

The weights come from one vector by a linear layer, without queries or keys. d: channels of a head.
unfold takes K x K windows every `stride` positions, mean pools to that resolution, and fold adds
what overlapping windows give to one position.

x, y: (B, C, H, W). The layer is timm's copy of the authors', parameter names are theirs; it works
on (B, H, W, C), and is computed anew here so that a traced graph fits every size. There the bias
option is of W_V only.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from timm.models.volo import OutlookAttention
from torch import Tensor

from zoo.sdk import Count, PositiveInt, Share, refuse
from zoo_plugins.mechanisms.self_attention.heads import split_heads

NAME = "outlook"


class Outlook(OutlookAttention):
    """(B, C, H, W) -> the same shape.

    Args:
        dim: C.
        num_heads: by default C / 32, lowered to a divisor of C.
        head_dim: d, where that is given instead of the number of heads.
        kernel_size: K, 3.
        padding: K // 2.
        stride: 2.
        qkv_bias: a bias in W_V.
        attn_drop, proj_drop: dropout rates.
    """

    def __init__(
        self,
        dim: int,
        *,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        kernel_size: PositiveInt = 3,
        padding: Count | None = None,
        stride: PositiveInt = 2,
        qkv_bias: bool = False,
        attn_drop: Share = 0.0,
        proj_drop: Share = 0.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        heads, _ = split_heads(NAME, dim, num_heads=num_heads, head_dim=head_dim, default=dim // 32)
        super().__init__(
            dim,
            heads,
            kernel_size,
            kernel_size // 2 if padding is None else padding,
            stride,
            qkv_bias,
            attn_drop,
            proj_drop,
            device=device,
            dtype=dtype,
        )

    def forward(self, x: Tensor) -> Tensor:
        if not (torch.jit.is_tracing() or torch.jit.is_scripting()):
            self._check(x)
        values = self.v(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        values = self.unfold(values).unflatten(
            1, (self.num_heads, -1, self.kernel_size * self.kernel_size)
        )
        attn = self.attn(self.pool(x).flatten(2).transpose(1, 2))
        attn = attn.unflatten(
            2, (self.num_heads, self.kernel_size * self.kernel_size, -1)
        ).transpose(1, 2)
        attn = self.attn_drop((attn * self.scale).softmax(4))  # B, heads, windows, K^2, K^2
        windows = (attn @ values.permute(0, 1, 4, 3, 2)).permute(0, 1, 4, 3, 2).flatten(1, 3)
        y = F.fold(windows, x.shape[2:], self.kernel_size, 1, self.padding, self.stride)
        return self.proj_drop(self.proj(y.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)

    def _check(self, x: Tensor) -> None:
        for size in x.shape[2:]:
            windows = (size + 2 * self.padding - self.kernel_size) // self.stride + 1
            if windows != -(-size // self.stride):
                refuse(
                    NAME,
                    f"kernel_size={self.kernel_size}, padding={self.padding} and "
                    f"stride={self.stride} make {windows} windows along {size} positions",
                    "an odd kernel_size, with its padding left out",
                )


def reference_call(module: Outlook, x: Tensor) -> Tensor:
    """What a reference case records: (B, H, W, C) -> (B, H, W, C)."""
    return module(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
