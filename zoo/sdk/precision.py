"""Half precision: float16 ends at 65,504, and sums of products of ordinary maps exceed that.

What is computed here in float32 is what a mechanism multiplies with itself: logits and variances.
Its layers stay in the precision that they have. bfloat16 has the range of float32 and is left as it
is, but for positions (`at_least_float32`, `zoo.sdk.sampling`): it has 8 bits, too few for a pixel.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from timm.layers import register_notrace_function
from torch import Tensor


@register_notrace_function
def widened(x: Tensor) -> Tensor:
    """`x`, in float32 if it is in float16."""
    return x.float() if x.dtype == torch.float16 else x


@register_notrace_function
def at_least_float32(x: Tensor) -> Tensor:
    """`x`, in float32 if its type is a narrower one: for positions, of which half precision, also
    bfloat16, loses pixels.
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))


@register_notrace_function
def wide_matmul(a: Tensor, b: Tensor) -> Tensor:
    """a @ b, computed in float32 if a and b are in float16."""
    if torch.jit.is_scripting():
        return widened(a) @ widened(b)
    else:
        with full_range(a):
            return widened(a) @ widened(b)


@register_notrace_function
def wide_einsum(equation: str, a: Tensor, b: Tensor) -> Tensor:
    """torch.einsum(equation, a, b), computed in float32 if a and b are in float16."""
    if torch.jit.is_scripting():
        return torch.einsum(equation, widened(a), widened(b))
    else:
        with full_range(a):
            return torch.einsum(equation, widened(a), widened(b))


@register_notrace_function
def saturated(x: Tensor) -> Tensor:
    """`x`; in float16, its largest number stands for an infinite one, so that no NaN follows."""
    return x.clamp(-65504.0, 65504.0) if x.dtype == torch.float16 else x


def lowest(x: Tensor) -> float:
    """The least finite number of the type of `x`, for what is masked out before a softmax."""
    if torch.jit.is_scripting():  # TorchScript knows no `finfo`; other types hold this number too
        return -65504.0 if x.dtype == torch.float16 else -3.3e38
    else:
        return torch.finfo(x.dtype).min


def smallest(x: Tensor) -> float:
    """The smallest normal number above 0 of the type of `x`, for what is divided by."""
    if torch.jit.is_scripting():
        return 6.104e-05 if x.dtype == torch.float16 else 1.1755e-38
    else:
        return torch.finfo(x.dtype).tiny


def full_range(x: Tensor) -> AbstractContextManager[object]:
    """A context that switches autocast off where it would turn products into float16."""
    narrow = _autocasts(x) and torch.get_autocast_dtype(x.device.type) == torch.float16
    return torch.autocast(x.device.type, enabled=False) if narrow else nullcontext()


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """A context that switches autocast off where it is on: for products of positions."""
    return torch.autocast(x.device.type, enabled=False) if _autocasts(x) else nullcontext()


def _autocasts(x: Tensor) -> bool:
    device = x.device.type
    return device != "meta" and torch.is_autocast_enabled(device)  # `meta` knows no autocast
