"""Scaled dot-product attention over tokens, some of which may be absent.

A mask is a bool tensor, True where a token is present, as in `torch.nn.functional`. A query that
has no key gets zeros, never NaN.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import UsageError
from zoo.sdk.precision import lowest


def check_tokens(mechanism: str, name: str, x: Tensor, width: int | None = None) -> None:
    """Refuse an `x` that is not (B, N, C), with C = `width` if that is given."""
    if not torch.jit.is_scripting():
        _check_tokens(mechanism, name, x, width)


def check_mask(mechanism: str, mask: Tensor | None, x: Tensor) -> None:
    """Refuse a `mask` that is not bool and (B, N), where x is (B, N, ...)."""
    if not torch.jit.is_scripting() and mask is not None:
        _check_mask(mechanism, mask, x)


# In a symbolic trace each is one step, taken when the graph runs.


@torch.fx.wrap
def _check_tokens(mechanism: str, name: str, x: Tensor, width: int | None) -> None:
    if x.ndim != 3 or (width is not None and x.shape[2] != width):
        wanted = f"(B, N, {'C' if width is None else width})"
        raise UsageError(
            f"{name} has shape {tuple(x.shape)}, not {wanted}", where=f"attention '{mechanism}'"
        )


@torch.fx.wrap
def _check_mask(mechanism: str, mask: Tensor, x: Tensor) -> None:
    if mask.dtype != torch.bool or mask.shape != x.shape[:2]:
        raise UsageError(
            f"mask is {mask.dtype} of shape {tuple(mask.shape)}, not bool of {tuple(x.shape[:2])}",
            where=f"attention '{mechanism}'",
            remedy="mask[b, n] is True where token n of sample b is present",
        )


def mask_of_lengths(lengths: Tensor, size: int) -> Tensor:
    """The mask (B, size) of sequences with these numbers of tokens (B,)."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """softmax(scale q k^T) v, for q (B, heads, M, d), k (B, heads, N, d) and v (B, heads, N, d_v).

    Args:
        mask: (B, N), or (B, M, N).
        scale: d^-1/2 unless given.
    """
    if mask is None:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scale)
    keys = over_keys(mask)
    assert keys is not None
    some = keys.any(3, keepdim=True)
    y = F.scaled_dot_product_attention(
        q, k, v, attn_mask=keys | ~some, dropout_p=dropout, scale=scale
    )
    return y.masked_fill(~some, 0.0)


def attention_weights(
    q: Tensor, k: Tensor, mask: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """softmax(scale q k^T), (B, heads, M, N), for where the weights themselves are wanted."""
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    return masked_softmax((q * factor) @ k.transpose(2, 3), over_keys(mask))


def masked_softmax(logits: Tensor, mask: Tensor | None = None, dim: int = -1) -> Tensor:
    """The softmax over what `mask` (which is broadcast) leaves. It is all zero where nothing is
    left.
    """
    if mask is None:
        return logits.softmax(dim)
    return logits.masked_fill(~mask, lowest(logits)).softmax(dim).masked_fill(~mask, 0.0)


def over_keys(mask: Tensor | None) -> Tensor | None:
    """A mask (B, N) or (B, M, N), in a shape that broadcasts to (B, heads, M, N)."""
    if mask is None:
        return None
    return mask[:, None, None, :] if mask.ndim == 2 else mask[:, None]
