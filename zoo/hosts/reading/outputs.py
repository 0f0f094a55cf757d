"""The tensor to attend to in the output of a module: the first map or sequence of tokens in it.

An output is a tensor, or a tuple, list, dict or dataclass of outputs (a `ModelOutput` of
`transformers` is both of the last). A way into it is a tuple of positions, keys and field names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

Way = tuple[int | str, ...]


class Found(NamedTuple):
    """A tensor in an output: the way to it, and what is known of it without its values."""

    way: Way
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


def find(output: Any) -> Found | None:
    """The first floating-point tensor of three or four dimensions, else the first of any."""
    tensors = list(_tensors(output, ()))
    fitting = (f for f in tensors if len(f.shape) in (3, 4) and f.dtype.is_floating_point)
    return next(fitting, tensors[0] if tensors else None)


def take(output: Any, way: Way) -> Tensor:
    """The tensor at the end of a way."""
    for step in way:
        output = _item(output, step)
    return output


def put(output: Any, way: Way, tensor: Tensor) -> Any:
    """The output with another tensor at the end of a way; the given output is not written to."""
    if not way:
        return tensor
    step: Any = way[0]
    inner = put(_item(output, step), way[1:], tensor)
    kind: Any = type(output)
    if isinstance(output, tuple | list):
        items = [*output[:step], inner, *output[step + 1 :]]
        return kind(*items) if hasattr(output, "_fields") else kind(items)
    if isinstance(output, Mapping):
        items = {**output, step: inner}
        return kind(**items) if dataclasses.is_dataclass(output) else kind(items)
    return dataclasses.replace(output, **{step: inner})


def _item(output: Any, step: Any) -> Any:
    inside = isinstance(output, tuple | list | Mapping)
    return output[step] if inside else getattr(output, step)


def _tensors(output: Any, way: Way) -> Iterator[Found]:
    if isinstance(output, Tensor):
        yield Found(way, tuple(output.shape), output.dtype, output.device)
        return
    for step, inner in _inside(output):
        yield from _tensors(inner, (*way, step))


def _inside(output: Any) -> Iterator[tuple[int | str, Any]]:
    if isinstance(output, Mapping):
        yield from ((key, value) for key, value in output.items() if isinstance(key, str | int))
    elif isinstance(output, tuple | list):
        yield from enumerate(output)
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        yield from ((f.name, getattr(output, f.name)) for f in dataclasses.fields(output))
