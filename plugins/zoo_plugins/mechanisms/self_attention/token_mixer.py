"""What self-attentions on tokens share: heads, projections, and the start from timm's attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, cat, nn, no_grad

from zoo.sdk import check_divisible
from zoo.sdk.attend import check_mask, check_tokens
from zoo_plugins.mechanisms.self_attention.heads import largest_divisor


class TokenMixer(nn.Module):
    """Projects tokens (B, N, C) to q, k, v in heads, and what a subclass makes of them back to C.

    Parameter names are timm's (`qkv`, rows [q; k; v]; `proj`; `q_norm` and `k_norm`).

    Args:
        dim: C. None: no projections, and tokens are their own queries, keys and values.
        num_heads: 8, or fewer if that does not divide C.
        head_dim: channels of q and k in a head, C / num_heads.
        value_dim: channels of v in a head, as many.
        qkv_bias, bias: of the first and the last projection.
        qk_norm: LayerNorm of q and k over the channels of a head; norm_eps: of it, 1e-5.
    """

    mechanism = ""  # its name, for messages
    exact = False  # it is softmax attention, whatever its options

    def __init__(
        self,
        dim: int | None,
        *,
        num_heads: int | None = None,
        head_dim: int | None = None,
        value_dim: int | None = None,
        qkv_bias: bool = True,
        bias: bool = True,
        qk_norm: bool = False,
        norm_eps: float = 1e-5,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.num_heads, width = heads_and_width(self.mechanism, dim, num_heads, head_dim)
        values = width if value_dim is None else value_dim
        self.head_dim, self.value_dim = width, values
        self.widths = [self.num_heads * w for w in (width, width, values)]
        dd: Any = {"device": device, "dtype": dtype}
        self.qkv = self.proj = None
        if dim is not None:
            self.qkv = nn.Linear(dim, sum(self.widths), bias=qkv_bias, **dd)
            self.proj = nn.Linear(self.widths[2], dim, bias=bias, **dd)
        self.q_norm: nn.Module = nn.Identity()
        self.k_norm: nn.Module = nn.Identity()
        if qk_norm:
            self.q_norm = nn.LayerNorm(width, norm_eps, **dd)
            self.k_norm = nn.LayerNorm(width, norm_eps, **dd)

    def project(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """q, k, v of x (B, N, C): (B, heads, N, channels of a head) each."""
        if not torch.jit.is_scripting():
            check_tokens(self.mechanism, "x", x, self.dim)
            check_mask(self.mechanism, mask, x)
        q, k, v = (x, x, x) if self.qkv is None else self.qkv(x).split(self.widths, 2)
        q, k, v = (t.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for t in (q, k, v))
        return self.q_norm(q), self.k_norm(k), v

    def merge(self, y: Tensor) -> Tensor:
        """(B, heads, N, value_dim) -> (B, N, C)."""
        y = y.transpose(1, 2).flatten(2)
        return y if self.proj is None else self.proj(y)

    @no_grad()
    def take_over(self, attention: nn.Module) -> bool:
        """Start from the projections and norms of timm's `Attention`.

        Returns:
            Whether this then computes the same.
        """
        own, theirs = self.state_dict(), attention.state_dict()
        fits = [key for key in theirs if key in own and own[key].shape == theirs[key].shape]
        for key in fits:
            own[key].copy_(theirs[key])
        for key in ("qkv.bias", "proj.bias"):
            if key in own and key not in theirs:
                own[key].zero_()
        normed = any(key.startswith(("q_norm", "k_norm")) for key in own.keys() - theirs.keys())
        heads = getattr(attention, "num_heads", self.num_heads) == self.num_heads
        return self.exact and heads and len(fits) == len(theirs) and not normed


Projection = nn.Linear | nn.Conv2d


def carry_projections(qkv: Sequence[Projection], proj: Projection, attention: Any) -> None:
    """The projections of timm's `Attention` into three layers and one, where their shapes fit."""
    weights = (*attention.qkv.weight.chunk(3), attention.proj.weight)
    biases = (None,) * 3 if attention.qkv.bias is None else attention.qkv.bias.chunk(3)
    for layer, weight, bias in zip(
        (*qkv, proj), weights, (*biases, attention.proj.bias), strict=True
    ):
        if layer.weight.shape[:2] == weight.shape:  # of a 1x1 convolution: two more ones
            layer.weight.copy_(weight.view_as(layer.weight))
            if layer.bias is not None:
                layer.bias.zero_() if bias is None else layer.bias.copy_(bias)


def carry_joint(module: Any, layers: Mapping[str, str], attention: Any, last: str = "proj") -> bool:
    """The projections of timm's `Attention` into layers that hold one or several of them, in turn.

    Args:
        layers: the name of each layer of the module, and what its rows are of: `{"kv": "kv"}`.
        last: the name of the last projection.

    Returns:
        Whether all of them fitted.
    """
    qkv = attention.qkv
    weights = dict(zip("qkv", qkv.weight.chunk(3), strict=True))
    biases = {} if qkv.bias is None else dict(zip("qkv", qkv.bias.chunk(3), strict=True))
    fits = [_carry(getattr(module, last), attention.proj.weight, attention.proj.bias)]
    for name, letters in layers.items():
        bias = cat([biases[each] for each in letters]) if biases else None
        weight = cat([weights[each] for each in letters])
        fits.append(_carry(getattr(module, name), weight, bias))
    return all(fits)


def _carry(layer: nn.Linear, weight: Tensor, bias: Tensor | None) -> bool:
    if layer.weight.shape != weight.shape:
        return False
    layer.weight.copy_(weight)
    if layer.bias is None:
        return bias is None
    layer.bias.zero_() if bias is None else layer.bias.copy_(bias)
    return True


def heads_and_width(
    name: str, dim: int | None, num_heads: int | None, head_dim: int | None
) -> tuple[int, int]:
    """(heads, channels of a head); given both, they need not multiply to `dim`."""
    if dim is None:
        return num_heads or 1, head_dim or 0
    if head_dim is None:
        heads = num_heads or largest_divisor(dim, 8)
        check_divisible(name, "dim", dim, "num_heads", heads)
        return heads, dim // heads
    if num_heads is None:
        check_divisible(name, "dim", dim, "head_dim", head_dim)
    return num_heads or dim // head_dim, head_dim
