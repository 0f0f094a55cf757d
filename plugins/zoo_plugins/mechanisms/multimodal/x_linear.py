"""X-linear attention (Pan et al., CVPR 2020, arXiv 2003.14080, section 3.2).

    b_i = sigma(W_k k_i) * sigma(W_q q)                     second-order interaction, per head
    b'_i = relu(W_B b_i)
    s = softmax_i(w_s . b'_i),   c = sigmoid(W_e mean_i b'_i)     spatial and channel-wise attention
    y = c * (sigma(W_v1 v1) * sum_i s_i sigma(W_v2 v2_i))

q, v1, y: (B, C); k, v2: (B, N, C); every sigma is followed by a group norm of `num_heads` groups.
sigma is a ReLU in the paper's block; the authors train with CELU, alpha 1.3. No logit is scaled.
The encoder stacks L blocks (infinity order in the limit of ELU), g_0 = q, X_0 = k:

    g_l = block(g_{l-1}, X_{l-1}, v1 = g_{l-1}, v2 = X_{l-1})
    X_l = LN(X_{l-1} + relu(W [g_l, X_{l-1}]))
    gv = LN(W_g [g_0, ..., g_L]),   att = X_L

W_B diag(q) is formed rather than b, since it is smaller. W_B and W_s, W_e are shared by the heads.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.sdk import DropRate, PositiveFloat, PositiveInt, check_divisible
from zoo.sdk.attend import masked_softmax, over_keys
from zoo.sdk.inputs import check_shape
from zoo_plugins.mechanisms.self_attention.heads import largest_divisor

NAME = "x_linear"


def x_linear(
    dim: PositiveInt,
    *,
    block: Literal["xlinear", "encoder"] = "xlinear",
    num_heads: PositiveInt | None = None,
    mid_dim: PositiveInt | None = None,
    activation: Literal["relu", "celu", "elu", "tanh", "glu", "none"] = "relu",
    activation_alpha: PositiveFloat = 1.3,
    bias: bool = True,
    num_layers: PositiveInt = 4,
    bifeat_activation: Literal["relu", "celu", "elu", "tanh", "none"] = "relu",
    mid_dropout: DropRate = 0.0,
    dropout: DropRate = 0.0,
    device: Any = None,
    dtype: Any = None,
) -> nn.Module:
    """The block, or the encoder of `num_layers` blocks.

    Args:
        dim: C.
        block: `xlinear` or `encoder`.
        num_heads: by default the largest divisor of C that is not above 8.
        mid_dim: the width of b', by default half that of a head.
        activation: sigma. activation_alpha: of `celu` and `elu`.
        bias: of the projections to heads.
        num_layers, bifeat_activation: of the encoder: L, and the activation in X_l.
        mid_dropout: of b'; 0.1 in the authors' training.
        dropout: of the encoder: of each block's output and of the term added to X; 0.5 or 0.3 in
            the authors' training.
    """
    heads = largest_divisor(dim, 8) if num_heads is None else num_heads
    check_divisible(NAME, "dim", dim, "num_heads", heads)
    options: dict[str, Any] = {
        "num_heads": heads,
        "mid_dim": mid_dim,
        "activation": activation,
        "alpha": activation_alpha,
        "bias": bias,
        "dropout": mid_dropout,
        "dd": {"device": device, "dtype": dtype},
    }
    if block == "xlinear":
        return XLinearBlock(dim, **options)
    return XLinearEncoder(dim, num_layers, bifeat_activation, dropout, options)


class XLinearBlock(nn.Module):
    """(query (B, C) or (B, M, C), memory (B, N, C), mask (B, N)) -> as the query."""

    def __init__(
        self,
        dim: int,
        *,
        num_heads: int,
        mid_dim: int | None,
        activation: str,
        alpha: float,
        bias: bool,
        dropout: float,
        dd: dict[str, Any],
    ) -> None:
        super().__init__()
        self.dim, self.num_heads, width = dim, num_heads, dim // num_heads
        mid = max(1, width // 2) if mid_dim is None else mid_dim
        self.q, self.k, self.v1, self.v2 = (
            Projection(dim, self.num_heads, activation, alpha, bias, dd) for _ in range(4)
        )
        self.mid = nn.Linear(width, mid, **dd)
        self.drop = nn.Dropout(dropout)
        self.spatial = nn.Linear(mid, 1, **dd)
        self.channel = nn.Linear(mid, width, **dd)

    def forward(
        self,
        query: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        *,
        value1: Tensor | None = None,
        value2: Tensor | None = None,
    ) -> Tensor:
        """mask: True (or 1) where a memory is present. v1 and v2 are query and memory if not given.

        Without any memory the output is zero.
        """
        value1 = query if value1 is None else value1
        value2 = memory if value2 is None else value2
        if query.ndim == 2:
            one = query.unsqueeze(1), value1.unsqueeze(1)
            return self._attend(one[0], memory, mask, one[1], value2).squeeze(1)
        return self._attend(query, memory, mask, value1, value2)

    def _attend(
        self, query: Tensor, memory: Tensor, mask: Tensor | None, value1: Tensor, value2: Tensor
    ) -> Tensor:
        check_shape(NAME, "query", query, ("B", "M", self.dim))
        check_shape(NAME, "memory", memory, (query.shape[0], "N", self.dim))
        if mask is not None:
            check_shape(NAME, "mask", mask, tuple(memory.shape[:2]))
        bilinear = self.q(query).unsqueeze(3) * self.mid.weight  # (B, heads, M, mid, d)
        basic = torch.einsum("bhmed,bhnd->bhmne", bilinear, self.k(memory))
        if self.mid.bias is not None:
            basic = basic + self.mid.bias
        basic = self.drop(torch.relu(basic))
        channel = torch.sigmoid(self.channel(masked_mean(basic, mask)))
        present = None if mask is None else over_keys(mask != 0)
        weights = masked_softmax(self.spatial(basic).squeeze(4), present)
        y = self.v1(value1) * (weights @ self.v2(value2)) * channel
        return y.transpose(1, 2).flatten(2)


class Projection(nn.Module):
    """Linear, activation, group norm, heads: (B, N, C) -> (B, heads, N, C / heads)."""

    def __init__(
        self, dim: int, heads: int, activation: str, alpha: float, bias: bool, dd: dict[str, Any]
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, dim * (1 + (activation == "glu")), bias=bias, **dd)
        self.act = make_activation(activation, alpha)
        self.norm = nn.GroupNorm(heads, dim, **dd)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.linear(x))
        x = self.norm(x.flatten(0, 1)).view_as(x)
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class XLinearEncoder(nn.Module):
    """(query (B, C), memory (B, N, C), mask (B, N)) -> gv (B, C) and att (B, N, C).

    A query of None, or of width 1, stands for the mean of the memory.
    """

    def __init__(
        self, dim: int, layers: int, activation: str, dropout: float, options: dict[str, Any]
    ) -> None:
        super().__init__()
        dd = options["dd"]
        self.blocks = nn.ModuleList(XLinearBlock(dim, **options) for _ in range(layers))
        self.mixers = nn.ModuleList(
            nn.Sequential(
                nn.Linear(2 * dim, dim, **dd),
                make_activation(activation, options["alpha"]),
                nn.Dropout(dropout),
            )
            for _ in range(layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(dim, **dd) for _ in range(layers))
        self.drop = nn.Dropout(dropout)
        self.proj = nn.Linear(dim * (layers + 1), dim, **dd)
        self.norm = nn.LayerNorm(dim, **dd)

    def forward(
        self, query: Tensor | None, memory: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        if query is None or query.shape[-1] == 1:
            query = masked_mean(memory[:, None, None], mask)[:, 0, 0]
        found: list[Tensor] = [query]
        for block, mix, norm in zip(self.blocks, self.mixers, self.norms, strict=True):
            found.append(self.drop(block(found[-1], memory, mask)))
            joined = torch.cat([found[-1].unsqueeze(1).expand_as(memory), memory], 2)
            memory = norm(mix(joined) + memory)
        return self.norm(self.proj(torch.cat(found, 1))), memory


def make_activation(name: str, alpha: float) -> nn.Module:
    """By the authors' names, in lower case."""
    if name in ("celu", "elu"):
        return nn.CELU(alpha) if name == "celu" else nn.ELU(alpha)
    return {"relu": nn.ReLU(), "tanh": nn.Tanh(), "glu": nn.GLU(), "none": nn.Identity()}[name]


def masked_mean(x: Tensor, mask: Tensor | None) -> Tensor:
    """(B, heads, M, N, C) -> (B, heads, M, C), over the N that are present; zero if none is."""
    if mask is None:
        return x.mean(3)
    weights = mask.to(x.dtype)[:, None, None, :, None]
    count = weights.sum(3)
    return (x * weights).sum(3) / (count + (count == 0))


def reference_call(module: nn.Module, *inputs: Tensor) -> Any:
    """The authors' order of arguments: of the block, query, key, mask, value1, value2."""
    if isinstance(module, XLinearEncoder):
        return module(*inputs)
    query, key, mask, value1, value2 = inputs
    return module(query, key, mask, value1=value1, value2=value2)
