"""The blocks of the set transformer (Lee et al., ICML 2019, arXiv 1810.00825, section 3).

    MAB(X, Y) = LN(H + rFF(H)),   H = LN(X W_q + Attention(X W_q, Y W_k, Y W_v))      (eq. 6, 7)
    SAB(X) = MAB(X, X)                                                               (eq. 8)
    ISAB_m(X) = MAB(X, MAB(I, X)),   I: m learned inducing points                    (eq. 9, 10)
    PMA_k(X) = MAB(S, X),            S: k learned seeds                              (eq. 11)

X: (B, N, C), Y: (B, M, C'). As in the authors' code: logits are divided by the root of the width of
all heads together, not of one; what is added to is the projected query; rFF is one linear layer and
a ReLU; LN is off by default; PMA leaves out the paper's rFF of X. ISAB costs m N instead of N^2.
The bias of the keys has no effect. Parameter names are the authors'. Elements of Y that are absent
are no keys.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveInt, check_divisible
from zoo.sdk.attend import attend, check_mask, check_tokens


class MAB(nn.Module):
    """Multi-head attention block: (B, N, dim_q), (B, M, dim_k) -> (B, N, dim).

    Args:
        dim: of the output.
        dim_q, dim_k: channels of the query and of the set it attends to, by default `dim`.
        num_heads: a divisor of `dim`.
        layer_norm: the two LN.
        bias: of the linear layers.
    """

    name = "mab"

    def __init__(
        self,
        dim: PositiveInt,
        *,
        dim_q: PositiveInt | None = None,
        dim_k: PositiveInt | None = None,
        num_heads: PositiveInt = 4,
        layer_norm: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_divisible(self.name, "dim", dim, "num_heads", num_heads)
        self.num_heads = num_heads
        queries = dim if dim_q is None else dim_q
        keys = dim if dim_k is None else dim_k
        dd: Any = {"device": device, "dtype": dtype}
        linear = {"bias": bias, **dd}
        self.fc_q = nn.Linear(queries, dim, **linear)
        self.fc_k = nn.Linear(keys, dim, **linear)
        self.fc_v = nn.Linear(keys, dim, **linear)
        self.fc_o = nn.Linear(dim, dim, **linear)
        self.ln0 = nn.LayerNorm(dim, **dd) if layer_norm else nn.Identity()
        self.ln1 = nn.LayerNorm(dim, **dd) if layer_norm else nn.Identity()

    def forward(self, query: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        """`mask`: (B, M) of the memory."""
        check_tokens(self.name, "query", query, self.fc_q.in_features)
        check_tokens(self.name, "memory", memory, self.fc_k.in_features)
        check_mask(self.name, mask, memory)
        q = self.fc_q(query)
        heads, k, v = (
            t.unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for t in (q, self.fc_k(memory), self.fc_v(memory))
        )
        y = attend(heads, k, v, mask, scale=q.shape[2] ** -0.5)
        y = self.ln0(q + y.transpose(1, 2).flatten(2))
        return self.ln1(y + self.fc_o(y).relu())


class SAB(nn.Module):
    """Set attention block: (B, N, dim_in) -> (B, N, dim); options as of `MAB`."""

    def __init__(
        self,
        dim: PositiveInt,
        *,
        dim_in: PositiveInt | None = None,
        num_heads: PositiveInt = 4,
        layer_norm: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.mab = MAB(
            dim, dim_q=dim_in, dim_k=dim_in, num_heads=num_heads, layer_norm=layer_norm, bias=bias,
            device=device, dtype=dtype,
        )  # fmt: skip

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.mab(x, x, mask)


class ISAB(nn.Module):
    """Induced set attention block: (B, N, dim_in) -> (B, N, dim).

    Args:
        dim: of the output.
        dim_in: of the input, by default `dim`.
        num_inducing: m.
        num_heads, layer_norm, bias: as of `MAB`.
    """

    def __init__(
        self,
        dim: PositiveInt,
        *,
        dim_in: PositiveInt | None = None,
        num_inducing: PositiveInt = 32,
        num_heads: PositiveInt = 4,
        layer_norm: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        block: Any = {"num_heads": num_heads, "layer_norm": layer_norm, "bias": bias, **dd}
        self.mab0 = MAB(dim, dim_k=dim_in, **block)
        self.mab1 = MAB(dim, dim_q=dim_in, **block)
        self.I = _learned(num_inducing, dim, dd)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        induced = self.mab0(self.I.expand(x.shape[0], -1, -1), x, mask)
        return self.mab1(x, induced)


class PMA(nn.Module):
    """Pooling by multi-head attention: (B, N, dim) -> (B, num_seeds, dim).

    Args:
        dim: of the input and the output.
        num_seeds: k.
        num_heads, layer_norm, bias: as of `MAB`.
    """

    def __init__(
        self,
        dim: PositiveInt,
        *,
        num_seeds: PositiveInt = 1,
        num_heads: PositiveInt = 4,
        layer_norm: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.mab = MAB(dim, num_heads=num_heads, layer_norm=layer_norm, bias=bias, **dd)
        self.S = _learned(num_seeds, dim, dd)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.mab(self.S.expand(x.shape[0], -1, -1), x, mask)


def _learned(count: int, dim: int, dd: Any) -> nn.Parameter:
    """(1, count, dim) vectors, drawn as the authors do."""
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, count, dim, **dd)))
