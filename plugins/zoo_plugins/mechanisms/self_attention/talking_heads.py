"""Talking-heads attention (Shazeer et al., arXiv 2003.02436, section 4), as in CaiT.

    J = d^-1/2 Q K^T,   W = P_w softmax(P_l J + b_l) + b_w,   y = concat_i(W_i V_i) W^O + b^O

P_l, P_w: (heads, heads), which mix the heads' logits, and their weights. x, y: (B, N, C). The paper
has no b_l and b_w; CaiT's code (Touvron et al., ICCV 2021) has, b_l without effect. Where tokens
are absent, W is zero after P_w too.

With the heads' own projections of a published transformer, and P_l = P_w = 1, this is multi-head
attention: `take_over` starts so.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt
from zoo.sdk.attend import masked_softmax, over_keys
from zoo_plugins.mechanisms.self_attention.token_mixer import TokenMixer


class TalkingHeads(TokenMixer):
    """(B, N, C) -> the same shape.

    Args:
        dim: C.
        num_heads: 8, or fewer if that does not divide C. head_dim: d, C / num_heads.
        qkv_bias, bias: of the first and the last projection.
        qk_norm: LayerNorm of Q and K over the channels of a head; norm_eps: of it, 1e-5.
    """

    mechanism = "talking_heads"
    exact = True

    def __init__(
        self,
        dim: int,
        *,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        qkv_bias: bool = True,
        bias: bool = True,
        qk_norm: bool = False,
        norm_eps: PositiveFloat = 1e-5,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            dim, num_heads=num_heads, head_dim=head_dim, qkv_bias=qkv_bias, bias=bias,
            qk_norm=qk_norm, norm_eps=norm_eps, device=device, dtype=dtype,
        )  # fmt: skip
        self.proj_l = nn.Linear(self.num_heads, self.num_heads, device=device, dtype=dtype)
        self.proj_w = nn.Linear(self.num_heads, self.num_heads, device=device, dtype=dtype)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k, v = self.project(x, mask)
        logits = (q * self.head_dim**-0.5) @ k.transpose(2, 3)
        weights = masked_softmax(
            _mix(self.proj_l.weight, self.proj_l.bias, logits), over_keys(mask)
        )
        weights = _mix(self.proj_w.weight, self.proj_w.bias, weights)
        if mask is not None:
            weights = weights.masked_fill(~mask[:, None, None], 0.0)
        return self.merge(weights @ v)

    @torch.no_grad()
    def take_over(self, attention: nn.Module) -> bool:
        """Start as timm's `Attention`; whether that is exact."""
        for layer in (self.proj_l, self.proj_w):
            nn.init.eye_(layer.weight)
            nn.init.zeros_(layer.bias)
        return super().take_over(attention)


def _mix(weight: Tensor, bias: Tensor, heads: Tensor) -> Tensor:
    """A linear layer over the heads of (B, heads, M, N), which stay where they are in memory."""
    return torch.einsum("gh,bhmn->bgmn", weight, heads) + bias[:, None, None]
