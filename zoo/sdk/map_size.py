"""Sizes of maps and kernels, and checks of mechanisms that are built for one size of map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from timm.layers import register_notrace_function
from torch import Tensor

from zoo.registry.constraints import Size
from zoo.sdk.options import check_int, refuse


def as_pair(size: Size) -> tuple[int, int]:
    """(height, width) from an option annotated as `Size`. One number means both."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def size_pair(mechanism: str, name: str, value: Any) -> tuple[int, int]:
    """`value` as (height, width). It is two whole numbers, or one for both."""
    if not isinstance(value, Sequence):
        value = (value, value)
    if isinstance(value, str) or len(value) != 2:
        refuse(mechanism, f"{name}={value!r} is not one number or two")
    return check_int(mechanism, name, value[0]), check_int(mechanism, name, value[1])


@register_notrace_function
def only_this_size(x: Tensor) -> Tensor:
    """x itself. A traced graph, which keeps what was chosen for one size, refuses other sizes."""
    if not torch.jit.is_tracing():
        return x
    return x.expand(-1, -1, int(x.shape[2]), int(x.shape[3]))


@register_notrace_function
def require_size(mechanism: str, x: Tensor, size: tuple[int, int]) -> Tensor:
    """x, which is refused if it has another size than the module was built for.

    A traced graph refuses such a map too.
    """
    if torch.jit.is_tracing():
        return x.expand(-1, -1, size[0], size[1])
    if (x.shape[2], x.shape[3]) != size:
        refuse(
            mechanism,
            f"the map is {x.shape[2]} x {x.shape[3]}, but this was built for {size[0]} x {size[1]}",
            f"feat_size=({x.shape[2]}, {x.shape[3]})",
        )
    return x
