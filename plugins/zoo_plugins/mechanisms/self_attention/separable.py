"""Separable self-attention (Mehta, Rastegari, MobileViTv2, TMLR 2023, arXiv 2206.02680, 3.2).

    s = softmax_n(w_q x + b_q),   c = sum_n s_n (W_k x_n + b_k)                          (eq. 2)
    y = W_o (relu(W_v x + b_v) * c) + b_o                                                (eq. 3)

x, y: (B, N, C). s: (B, N), one score of each token; c: (B, C), one context for all tokens, so that
the cost is linear in N. b_q has no effect. With a memory (B, M, C), s and c are made of it.

In MobileViTv2 a map is unfolded to N patches of P pixels, (B, C, P, N), and each of the P pixels
attends across the patches by itself: that is `patches`. Tokens are the case P = 1. Layers and
their names are timm's: 1x1 convolutions, rows of the first [query 1; key C; value C].
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk.attend import check_mask, check_tokens, masked_softmax
from zoo.sdk.inputs import check_shape

NAME = "separable"


class Separable(nn.Module):
    """(B, N, C) -> the same shape.

    Args:
        dim: C.
        bias: of both projections.
    """

    def __init__(
        self, dim: int, *, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.dim = dim
        dd: Any = {"bias": bias, "device": device, "dtype": dtype}
        self.qkv_proj = nn.Conv2d(dim, 1 + 2 * dim, 1, **dd)
        self.out_proj = nn.Conv2d(dim, dim, 1, **dd)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, memory: Tensor | None = None
    ) -> Tensor:
        """y of x (B, N, C).

        Args:
            mask: (B, N) of x, or (B, M) of the memory if there is one.
            memory: (B, M, C), what scores and context are made of.
        """
        tokens = x if memory is None else memory
        if not torch.jit.is_scripting():
            check_tokens(NAME, "x", x, self.dim)
            check_tokens(NAME, "memory", tokens, self.dim)
            check_mask(NAME, mask, tokens)
        other = None if memory is None else memory.mT.unsqueeze(2)
        return self.patches(x.mT.unsqueeze(2), mask, other).squeeze(2).mT

    def patches(
        self, x: Tensor, mask: Tensor | None = None, memory: Tensor | None = None
    ) -> Tensor:
        """(B, C, P, N) -> the same shape: every pixel of a patch across the N patches."""
        if not torch.jit.is_scripting():
            check_shape(NAME, "x", x, ("B", self.dim, "P", "N"))
        widths = [1, self.dim, self.dim]
        query, key, value = self.qkv_proj(x).split(widths, 1)
        if memory is not None:
            query, key, _ = self.qkv_proj(memory).split(widths, 1)
        scores = masked_softmax(query, None if mask is None else mask[:, None, None])
        context = (key * scores).sum(3, keepdim=True)
        return self.out_proj(value.relu() * context)


def reference_call(module: Separable, x: Tensor) -> Tensor:
    """A reference case records patches (B, C, P, N)."""
    return module.patches(x)
