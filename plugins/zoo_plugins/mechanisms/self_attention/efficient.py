"""Efficient attention (Shen et al., WACV 2021, arXiv 1812.01243, section 3.2).

    E = rho_q(Q) (rho_k(K)^T V),   y = W E + b + x                                   (eq. 3)

rho_q is a softmax over the channels of a head, rho_k one over the positions ("softmax"); or both
divide by the root of N ("scaling", which is dot-product non-local attention). K^T V is made first,
so that no N x N matrix exists and the cost is linear in N = H W.

x, y: (B, C, H, W). Q, K: (B, heads, N, d_k / heads), V: (B, heads, N, d_v / heads). Parameter names
are the authors'. Their code has the softmax form only. All heads run at once.

In a transformer it takes the place of softmax attention, `token_mixer`, and starts from its
projections: near it where attention is flat (cosine of the logits 0.998 for vit_small with timm's
initial weights), far where it is sharp (0.36 at 0.35 of the flat entropy), on noise.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveInt, check_divisible, refuse, zero_
from zoo.sdk.attend import check_mask, check_tokens, masked_softmax, over_keys
from zoo_plugins.mechanisms.self_attention.heads import largest_divisor
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_projections

NAME = "efficient"
Normalization = Literal["softmax", "scaling"]


class EfficientAttention(nn.Module):
    """(B, C, H, W) -> the same shape.

    Args:
        channels: C.
        key_channels: d_k, of all heads together, C/2.
        value_channels: d_v, of all heads together, C.
        num_heads: 8, or fewer: it divides d_k and d_v, and a head has at least two channels of d_k.
        normalization: `softmax` or `scaling`, as above.
        bias: of the 1x1 convolutions.
        residual: add x.
    """

    def __init__(
        self,
        channels: int,
        *,
        key_channels: PositiveInt | None = None,
        value_channels: PositiveInt | None = None,
        num_heads: PositiveInt | None = None,
        normalization: Normalization = "softmax",
        bias: bool = True,
        residual: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        keys = max(1, channels // 2) if key_channels is None else key_channels
        values = channels if value_channels is None else value_channels
        self.num_heads = _default_heads(keys, values) if num_heads is None else num_heads
        check_divisible(NAME, "key_channels", keys, "num_heads", self.num_heads)
        check_divisible(NAME, "value_channels", values, "num_heads", self.num_heads)
        self.softmax = normalization == "softmax"
        self.residual = residual
        conv: Any = {"bias": bias, "device": device, "dtype": dtype}
        self.keys = nn.Conv2d(channels, keys, 1, **conv)
        self.queries = nn.Conv2d(channels, keys, 1, **conv)
        self.values = nn.Conv2d(channels, values, 1, **conv)
        self.reprojection = nn.Conv2d(values, channels, 1, **conv)

    @classmethod
    def token_mixer(
        cls,
        dim: int,
        *,
        num_heads: PositiveInt | None = None,
        normalization: Normalization = "softmax",
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> EfficientTokens:
        """The same on tokens (B, N, C), with d_k = d_v = C and without adding x."""
        return EfficientTokens(
            dim, key_channels=dim, value_channels=dim, num_heads=num_heads, residual=False,
            normalization=normalization, bias=bias, device=device, dtype=dtype,
        )  # fmt: skip

    def init_identity(self) -> float:
        """Start as x: the last convolution is zero; returns 1."""
        if not self.residual:
            refuse(NAME, "residual=False cannot start as the identity", "insertion='residual'")
        zero_(self.reprojection)
        return 1.0

    def forward(self, x: Tensor) -> Tensor:
        return self.attend(x, None)

    def attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """`mask`: bool (B, N), True where a position is present."""
        k = self._heads(self.keys(x))
        q = self._heads(self.queries(x))
        v = self._heads(self.values(x))
        if self.softmax:
            k, q = masked_softmax(k, over_keys(mask)), q.softmax(2)
            context = v @ k.transpose(2, 3)
        elif mask is None:
            context = v @ (k.transpose(2, 3) / k.shape[3])
        else:
            count = mask.sum(1).clamp(min=1).view(-1, 1, 1, 1)
            context = v @ (k.masked_fill(~mask[:, None, None], 0.0) / count).transpose(2, 3)
        y = self.reprojection((context @ q).flatten(1, 2).unflatten(2, x.shape[2:]))
        return x + y if self.residual else y

    def _heads(self, x: Tensor) -> Tensor:
        """(B, D, H, W) -> (B, heads, D / heads, N)."""
        return x.flatten(2).unflatten(1, (self.num_heads, -1))


class EfficientTokens(EfficientAttention):
    """(B, N, C) -> the same shape."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if not torch.jit.is_scripting():
            check_tokens(NAME, "x", x, self.keys.in_channels)
            check_mask(NAME, mask, x)
        return self.attend(x.transpose(1, 2).unsqueeze(3), mask).squeeze(3).transpose(1, 2)

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from the projections of timm's `Attention`.

        Not the same function: the softmax is of q and of k, not of their product.
        """
        carry_projections((self.queries, self.keys, self.values), self.reprojection, attention)
        return False


def _default_heads(keys: int, values: int) -> int:
    """A softmax over one channel is 1 whatever the query: a head has two, if there are two."""
    heads = largest_divisor(keys, min(8, max(1, keys // 2)))
    while values % heads:
        heads = largest_divisor(keys, heads - 1)
    return heads
