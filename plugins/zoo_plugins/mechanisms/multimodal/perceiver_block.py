"""The blocks of a Perceiver: latents read an input, or each other."""

from __future__ import annotations

from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import check_divisible
from zoo.sdk.attend import attend, check_mask, check_tokens

NAME = "perceiver"
Activation = Literal["geglu", "gelu", "gelu_tanh"]


class Block(nn.Module):
    """LayerNorms, attention, and a perceptron behind it.

        z' = [z +] W_o Attention(LN(z) W_q, LN(x) W_k, LN(x) W_v),   y = z' + MLP(LN(z'))

    z: (B, K, dim), x: (B, N, context_dim), y: (B, K, dim).

    Args:
        dim: of the latents. context_dim: of the input; None for self-attention, where x is z.
        num_heads: divides qk_channels and v_channels, the widths of all heads together.
        qkv_bias, bias: of q, k, v, and of the last projection of the attention.
        residual: add z.
        ff_mult: width of the perceptron over `dim`; 0 leaves it out.
        ff_activation: `gelu`, `gelu_tanh` (its approximation), or `geglu`: a GELU gate.
    """

    def __init__(
        self,
        dim: int,
        context_dim: int | None = None,
        *,
        num_heads: int,
        qk_channels: int,
        v_channels: int,
        qkv_bias: bool,
        bias: bool = True,
        residual: bool = True,
        ff_mult: int,
        ff_activation: Activation,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        for key, width in (("qk_channels", qk_channels), ("v_channels", v_channels)):
            check_divisible(NAME, key, width, "the heads", num_heads)
        self.num_heads, self.residual, self.activation = num_heads, residual, ff_activation
        dd: Any = {"device": device, "dtype": dtype}
        biased = {"bias": qkv_bias, **dd}
        source = dim if context_dim is None else context_dim
        self.norm_q = nn.LayerNorm(dim, **dd)
        self.norm_kv = None if context_dim is None else nn.LayerNorm(source, **dd)
        self.q = nn.Linear(dim, qk_channels, **biased)
        self.k = nn.Linear(source, qk_channels, **biased)
        self.v = nn.Linear(source, v_channels, **biased)
        self.out = nn.Linear(v_channels, dim, bias=bias, **dd)
        hidden = dim * ff_mult
        self.norm_mlp = self.fc1 = self.fc2 = None
        if hidden:
            self.norm_mlp = nn.LayerNorm(dim, **dd)
            self.fc1 = nn.Linear(dim, hidden * (2 if ff_activation == "geglu" else 1), **dd)
            self.fc2 = nn.Linear(hidden, dim, **dd)

    def forward(
        self, query: Tensor, memory: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """`mask`: (B, N) of the memory."""
        check_tokens(NAME, "query", query, self.q.in_features)
        x = self.norm_q(query)
        if self.norm_kv is None or memory is None:
            source = x
        else:
            check_tokens(NAME, "memory", memory, self.k.in_features)
            check_mask(NAME, mask, memory)
            source = self.norm_kv(memory)
        q, k, v = (
            t.unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for t in (self.q(x), self.k(source), self.v(source))
        )
        y = self.out(attend(q, k, v, mask).transpose(1, 2).flatten(2))
        y = query + y if self.residual else y
        return y + self._perceptron(y) if self.fc1 is not None else y

    def _perceptron(self, x: Tensor) -> Tensor:
        assert self.norm_mlp is not None and self.fc1 is not None and self.fc2 is not None
        x = self.fc1(self.norm_mlp(x))
        if self.activation == "geglu":
            x, gate = x.chunk(2, 2)
            return self.fc2(x * F.gelu(gate))
        return self.fc2(F.gelu(x, approximate="tanh" if self.activation == "gelu_tanh" else "none"))
