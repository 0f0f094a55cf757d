"""Changing what one module does without renaming any of its keys: its class becomes a subclass."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from torch import nn


def swap(module: nn.Module, mixin: type) -> None:
    """From now on the module has the methods of `mixin` before those of its own class.

    It keeps its name, its parameters and their keys, and can be copied, pickled and scripted, which
    a module with hooks cannot. TorchScript reads class annotations: a mixin has none.
    """
    module.__class__ = _swapped(type(module), mixin)


@cache
def _swapped(base: type[nn.Module], mixin: type) -> type[nn.Module]:
    def reduce(self: Any, protocol: int) -> tuple[Any, ...]:
        return _restore, (base, mixin), self.__getstate__()

    members = {
        "__reduce_ex__": reduce,
        "__module__": base.__module__,
        "__doc__": base.__doc__,
        "__qualname__": base.__qualname__,
    }
    return cast(type[nn.Module], type(base.__name__, (mixin, base), members))


def _restore(base: type[nn.Module], mixin: type) -> nn.Module:
    cls = _swapped(base, mixin)
    return cls.__new__(cls)
