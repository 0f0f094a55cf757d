"""Inputs are checked at the call: one clear `UsageError` where a plain failure would come later."""

from __future__ import annotations

from timm.layers import register_notrace_function
from torch import Tensor

from zoo.errors import UsageError


@register_notrace_function
def check_shape(mechanism: str, name: str, x: Tensor, shape: tuple[int | str, ...]) -> None:
    """Refuse an `x` that does not have this shape. A letter stands for any size.

    Raises:
        UsageError: the shape is another; the message names the input and both shapes.
    """
    sizes = tuple(x.shape)
    fits = len(sizes) == len(shape) and all(
        isinstance(wanted, str) or size == wanted for size, wanted in zip(sizes, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join(map(str, shape))
        raise UsageError(
            f"input {name!r} has shape {sizes}, not ({wanted})", where=f"attention '{mechanism}'"
        )
