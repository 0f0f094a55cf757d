"""Multi-head attention (Vaswani et al., NeurIPS 2017, arXiv 1706.03762, section 3.2).

    head_i = softmax(d^-1/2 Q_i K_i^T) V_i,   y = concat(head) W^O + b^O             (eq. 1)

x, y: (B, N, C). Q is linear in x; K and V are linear in x too, or in a memory (B, M, C_k); V may be
linear in other values (B, M, C_v) of as many tokens. d: channels of a head.

The numbers are those of torch's `nn.MultiheadAttention`, whose heads divide C, and of timm's
`Attention`, whose heads may have any width and whose Q and K may be normalised. The bias of K has
no effect: it adds the same to all logits of a query. Where C_k or C_v is not C, the three
projections have weights of their own and one bias, as in torch's layer.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import UsageError
from zoo.sdk import PositiveFloat, PositiveInt, Share
from zoo.sdk.attend import attend, attention_weights, check_mask, check_tokens
from zoo_plugins.mechanisms.self_attention.token_mixer import TokenMixer

NAME = "multi_head"


class ApartProjections(nn.Module):
    """The weights of Q, K and V from tokens of three widths, and one bias [q; k; v] of them all."""

    def __init__(self, inputs: tuple[int, ...], outputs: list[int], bias: bool, **dd: Any) -> None:
        super().__init__()
        q, k, v = (
            nn.Parameter(torch.empty(wide, width, **dd))
            for wide, width in zip(outputs, inputs, strict=True)
        )
        self.q_weight, self.k_weight, self.v_weight = q, k, v
        self.bias = nn.Parameter(torch.zeros(sum(outputs), **dd)) if bias else None
        for weight in (q, k, v):
            nn.init.xavier_uniform_(weight)


class MultiHead(TokenMixer):
    """(B, N, C) -> the same shape.

    Args:
        dim: C.
        num_heads: 8, or fewer if that does not divide C.
        head_dim: d, C / num_heads.
        key_dim: C_k, channels of the memory, C.
        value_dim: C_v, channels of the values, C.
        qkv_bias: of the projections to Q, K and V.
        bias: of the last projection.
        qk_norm: LayerNorm of Q and K over the channels of a head.
        norm_eps: of that norm, 1e-5.
        cross: `forward` needs a memory, which it does too where `key_dim` or `value_dim` is not C.
        dropout: of the attention weights.
    """

    mechanism = NAME
    exact = True

    def __init__(
        self,
        dim: int,
        *,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        key_dim: PositiveInt | None = None,
        value_dim: PositiveInt | None = None,
        qkv_bias: bool = True,
        bias: bool = True,
        qk_norm: bool = False,
        norm_eps: PositiveFloat = 1e-5,
        cross: bool = False,
        dropout: Share = 0.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        dd: Any = {"device": device, "dtype": dtype}
        super().__init__(
            dim, num_heads=num_heads, head_dim=head_dim, qkv_bias=qkv_bias, bias=bias,
            qk_norm=qk_norm, norm_eps=norm_eps, **dd,
        )  # fmt: skip
        self.memory_dims = (
            dim if key_dim is None else key_dim,
            dim if value_dim is None else value_dim,
        )
        apart = self.memory_dims != (dim, dim)
        self.cross, self.dropout = cross or apart, dropout
        if apart:
            self.qkv = ApartProjections((dim, *self.memory_dims), self.widths, qkv_bias, **dd)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        vars(self).setdefault("memory_dims", (self.qkv.in_features,) * 2)  # of version 0.1

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        memory: Tensor | None = None,
        values: Tensor | None = None,
    ) -> Tensor:
        """y of x (B, N, C).

        Args:
            mask: (B, N) of x, or (B, M) of the memory if there is one.
            memory: (B, M, C_k), what K is made of, and V unless there are `values`.
            values: (B, M, C_v).
        """
        if torch.jit.is_scripting():  # TorchScript attends to the tokens themselves only
            assert memory is None and not self.cross
            q, k, v = self.project(x, mask)
        else:
            q, k, v = self._queries(x, mask, memory, values)
        return self.merge(attend(q, k, v, mask, dropout=self.dropout if self.training else 0.0))

    def weights(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        memory: Tensor | None = None,
        values: Tensor | None = None,
    ) -> Tensor:
        """softmax(d^-1/2 Q K^T), (B, heads, N, M)."""
        q, k, _ = self._queries(x, mask, memory, values)
        return attention_weights(q, k, mask)

    def _queries(
        self, x: Tensor, mask: Tensor | None, memory: Tensor | None, values: Tensor | None
    ) -> tuple[Tensor, ...]:
        if memory is None:
            if self.cross:
                raise UsageError(
                    "attention to a memory, and no memory is given", where=f"attention {NAME!r}",
                    remedy="module(x, mask, memory)",
                )  # fmt: skip
            return self.project(x, mask)
        values = memory if values is None else values
        check_tokens(NAME, "x", x, self.dim)
        check_tokens(NAME, "memory", memory, self.memory_dims[0])
        check_tokens(NAME, "values", values, self.memory_dims[1])
        check_mask(NAME, mask, memory)
        q, k, v = (
            F.linear(tokens, weight, bias).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for tokens, weight, bias in zip((x, memory, values), *self._rows(), strict=True)
        )
        return self.q_norm(q), self.k_norm(k), v

    def _rows(self) -> tuple[tuple[Tensor, ...], tuple[Tensor | None, ...]]:
        """The weights of Q, K and V, and their biases."""
        qkv = self.qkv
        assert isinstance(qkv, ApartProjections | nn.Linear)
        if isinstance(qkv, ApartProjections):
            weights = (qkv.q_weight, qkv.k_weight, qkv.v_weight)
        else:
            weights = qkv.weight.split(self.widths)
        return weights, (None,) * 3 if qkv.bias is None else qkv.bias.split(self.widths)


def reference_call(
    module: MultiHead,
    x: Tensor,
    memory: Tensor | None = None,
    values: Tensor | None = None,
    *_: Tensor,
) -> tuple[Tensor, Tensor]:
    """What a reference case records: the tokens, and the attention (B, heads, N, M)."""
    more = {"memory": memory, "values": values}
    return module(x, **more), module.weights(x, **more)
