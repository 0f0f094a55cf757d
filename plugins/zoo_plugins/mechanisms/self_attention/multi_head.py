"""Multi-head attention (Vaswani et al., NeurIPS 2017, arXiv 1706.03762, section 3.2).

    head_i = softmax(d^-1/2 Q_i K_i^T) V_i,   y = concat(head) W^O + b^O             (eq. 1)

x, y: (B, N, C). Q, K, V: linear in x, or K and V in a memory (B, M, C); d: channels of a head.
`variant` says whose it is: torch's `nn.MultiheadAttention`, whose heads divide C, or timm's
`Attention`, whose heads may have any width and whose Q and K may be normalised. The numbers are the
same. The bias of K has no effect: it adds the same to all logits of a query.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import UsageError
from zoo.sdk.attend import attend, attention_weights, check_mask, check_tokens
from zoo.sdk.options import check_bool, check_choice, check_share, refuse
from zoo_plugins.mechanisms.self_attention.token_mixer import TokenMixer

NAME = "multi_head"
VARIANTS = ("torch", "timm")


class MultiHead(TokenMixer):
    """(B, N, C) -> the same shape.

    Args:
        dim: C.
        num_heads: 8, or fewer if that does not divide C. head_dim: d, C / num_heads.
        qkv_bias, bias: of the first and the last projection.
        qk_norm: LayerNorm of Q and K over the channels of a head; norm_eps: of it, 1e-5.
        cross: `forward` needs a memory.
        dropout: of the attention weights.
        variant: `torch` or `timm`.
    """

    exact = True

    def __init__(
        self,
        dim: int,
        *,
        num_heads: int | None = None,
        head_dim: int | None = None,
        qkv_bias: bool = True,
        bias: bool = True,
        qk_norm: bool = False,
        norm_eps: float = 1e-5,
        cross: bool = False,
        dropout: float = 0.0,
        variant: str | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            NAME, dim, num_heads=num_heads, head_dim=head_dim, qkv_bias=qkv_bias, bias=bias,
            qk_norm=qk_norm, norm_eps=norm_eps, device=device, dtype=dtype,
        )  # fmt: skip
        self.cross = check_bool(NAME, "cross", cross)
        self.dropout = check_share(NAME, "dropout", dropout)
        variant = check_choice(NAME, "variant", variant, (None, *VARIANTS))
        if variant == "torch" and self.widths[0] != dim:
            what = f"num_heads={self.num_heads} of head_dim={self.head_dim} are not dim={dim}"
            refuse(NAME, what, "variant='timm'")

    def forward(
        self, x: Tensor, mask: Tensor | None = None, memory: Tensor | None = None
    ) -> Tensor:
        """`mask`: (B, N) of x, or (B, M) of the `memory` if there is one."""
        q, k, v = self._queries(x, mask, memory)
        return self.merge(attend(q, k, v, mask, dropout=self.dropout if self.training else 0.0))

    def weights(
        self, x: Tensor, mask: Tensor | None = None, memory: Tensor | None = None
    ) -> Tensor:
        """softmax(d^-1/2 Q K^T), (B, heads, N, M)."""
        q, k, _ = self._queries(x, mask, memory)
        return attention_weights(q, k, mask)

    def _queries(self, x: Tensor, mask: Tensor | None, memory: Tensor | None) -> tuple[Tensor, ...]:
        if memory is None:
            if self.cross:
                raise UsageError(
                    "cross=True, and no memory is given", where=f"attention {NAME!r}",
                    remedy="module(x, mask, memory)",
                )  # fmt: skip
            return self.project(x, mask)
        check_tokens(NAME, "x", x, self.dim)
        check_tokens(NAME, "memory", memory, self.dim)
        check_mask(NAME, mask, memory)
        assert isinstance(self.qkv, nn.Linear)
        first, bias = self.widths[0], self.qkv.bias
        parts = (slice(0, first), slice(first, None))
        biases = [None if bias is None else bias[part] for part in parts]
        q = F.linear(x, self.qkv.weight[parts[0]], biases[0])
        kv = F.linear(memory, self.qkv.weight[parts[1]], biases[1])
        q, k, v = (
            t.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for t in (q, *kv.chunk(2, 2))
        )
        return self.q_norm(q), self.k_norm(k), v


def reference_call(
    module: MultiHead, x: Tensor, memory: Tensor | None = None, *_: Tensor
) -> tuple[Tensor, Tensor]:
    """What a reference case records: the tokens, and the attention (B, heads, N, M)."""
    return module(x, memory=memory), module.weights(x, memory=memory)
