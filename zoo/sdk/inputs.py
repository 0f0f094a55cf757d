"""Inputs are checked at the call: one clear `UsageError` where a plain failure would come later.

What TorchScript compiles has no checks. Where a check is called with what TorchScript cannot read
(a global name, say), `if not torch.jit.is_scripting():` stands before the call.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor

from zoo.errors import UsageError

# (int | str, ...), for which TorchScript has no type
Shape: TypeAlias = Any


def check_shape(mechanism: str, name: str, x: Tensor, shape: Shape) -> None:
    """Refuse an `x` that does not have this shape, a tuple. A letter in it stands for any size.

    Raises:
        UsageError: the shape is another; the message names the input and both shapes.
    """
    if not torch.jit.is_scripting():
        _check_shape(mechanism, name, x, shape)


@torch.fx.wrap  # in a symbolic trace it is one step, taken when the graph runs
def _check_shape(mechanism: str, name: str, x: Tensor, shape: tuple[int | str, ...]) -> None:
    sizes = tuple(x.shape)
    fits = len(sizes) == len(shape) and all(
        isinstance(wanted, str) or size == wanted for size, wanted in zip(sizes, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join(map(str, shape))
        raise UsageError(
            f"input {name!r} has shape {sizes}, not ({wanted})", where=f"attention '{mechanism}'"
        )
