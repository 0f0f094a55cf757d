"""Attention-free transformer, AFT (Zhai et al., arXiv 2105.14103, section 3.1).

    y_i = W_o (sigmoid(q_i) * sum_j exp(k_j + w_ij) v_j / sum_j exp(k_j + w_ij)) + b_o  (eq. 2, 3)

x, y: (B, N, C). q, k, v: (B, N, C_h), linear in x; exp and the quotient are of each channel by
itself. w: (M, M), a learned bias of two positions, of which the first N x N are used: `full`.
`local` (eq. 4) sets w to 0 where |i - j| >= s, and far tokens still take part; `simple` (eq. 5) has
w = 0, one context for all tokens, and takes any N. The bias of k has no effect.

The authors published no code; cases are of an independent port, whose `local` form cuts the
gradient of w. Here w learns in both. |i - j| is of flattened positions, as there; the paper's
factors of w, its heads and its windows on maps are left out. The largest k, and the largest w of a
row, are subtracted before exp, which changes nothing but keeps it finite.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.errors import UsageError
from zoo.sdk import PositiveInt, refuse
from zoo.sdk.attend import check_mask, check_tokens
from zoo.sdk.precision import lowest, smallest, wide_matmul, widened
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_projections

NAME = "attention_free"


class AttentionFree(nn.Module):
    """(B, N, C) -> the same shape.

    Args:
        dim: C.
        hidden_dim: C_h, C.
        mode: `simple`, `full` or `local`, as above.
        max_len: M, the largest N; of `full` and `local`, which need it.
        window_size: s; of `local`, which needs it.
        qkv_bias, bias: of the first and the last projections.
    """

    def __init__(
        self,
        dim: int,
        *,
        hidden_dim: PositiveInt | None = None,
        mode: Literal["simple", "full", "local"] = "simple",
        max_len: PositiveInt | None = None,
        window_size: PositiveInt | None = None,
        qkv_bias: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _require(mode, "max_len", max_len, of=("full", "local"))
        _require(mode, "window_size", window_size, of=("local",))
        self.dim, self.window_size = dim, window_size
        width = dim if hidden_dim is None else hidden_dim
        dd: Any = {"device": device, "dtype": dtype}
        self.to_q = nn.Linear(dim, width, bias=qkv_bias, **dd)
        self.to_k = nn.Linear(dim, width, bias=qkv_bias, **dd)
        self.to_v = nn.Linear(dim, width, bias=qkv_bias, **dd)
        self.project = nn.Linear(width, dim, bias=bias, **dd)
        self.wbias: Tensor | None = None
        if max_len is not None:
            self.wbias = nn.Parameter(torch.empty(max_len, max_len, **dd))
            nn.init.xavier_uniform_(self.wbias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """y of x (B, N, C); mask: (B, N), True where a token is present."""
        if not torch.jit.is_scripting():
            check_tokens(NAME, "x", x, self.dim)
            check_mask(NAME, mask, x)
        k, v = widened(self.to_k(x)), self.to_v(x)
        present = None if mask is None else mask[:, :, None]
        if present is not None:
            k = k.masked_fill(~present, lowest(k))
            v = v.masked_fill(~present, 0.0)
        weights = (k - k.amax(1, keepdim=True)).exp()
        if present is not None:
            weights = weights.masked_fill(~present, 0.0)
        above, below = self._sums(weights * v), self._sums(weights)
        context = above / below.clamp(min=smallest(below))
        return self.project(self.to_q(x).sigmoid() * context.to(x.dtype))

    def _sums(self, terms: Tensor) -> Tensor:
        """sum_j exp(w_ij) terms_j, (B, N, C_h), or (B, 1, C_h) where w is 0."""
        if self.wbias is None:
            return terms.sum(1, keepdim=True)
        w = widened(self._biases(self.wbias, terms.shape[1]))
        return wide_matmul((w - w.amax(1, keepdim=True)).exp(), terms)

    def _biases(self, table: Tensor, tokens: int) -> Tensor:
        if not torch.jit.is_scripting() and tokens > len(table):
            raise UsageError(
                f"{tokens} tokens are more than max_len={len(table)}",
                where=f"attention '{NAME}'",
                remedy=f"max_len={tokens}",
            )
        w = table[:tokens, :tokens]
        if self.window_size is None:
            return w
        near = self.window_size - 1
        return w.triu(-near).tril(near)

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from the projections of timm's `Attention`; not the same function."""
        layers = (self.to_q, self.to_k, self.to_v)
        carry_projections(layers, self.project, attention)
        return False


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """A setting of the port that has no meaning in its mode is left out."""
    simple = options.get("mode", "simple") == "simple"
    return {key: value for key, value in options.items() if not (simple and key == "max_len")}


def _require(mode: str, name: str, value: int | None, *, of: tuple[str, ...]) -> None:
    """An option is given in the modes that it belongs to, and in no other."""
    if (value is not None) == (mode in of):
        return
    if value is None:
        refuse(NAME, f"mode={mode!r} needs {name}", f"{name}=...")
    refuse(NAME, f"mode={mode!r} has no {name}", f"leave {name}= out")
