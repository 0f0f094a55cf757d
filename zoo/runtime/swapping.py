"""Changing what one module does without renaming any of its keys: its class becomes a subclass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias, cast

from torch import nn

Members: TypeAlias = Callable[[type[nn.Module]], Mapping[str, Any]]


def swap(module: nn.Module, change: type | Members) -> None:
    """Make the class of the module a subclass of its own class, of the same name.

    The module keeps its parameters and their keys. It can be copied, pickled and scripted, which a
    module with hooks cannot.

    Args:
        change: either a mixin, whose methods come before those of the class (TorchScript reads the
            annotations of classes, so a mixin has none); or a module-level function from the class
            to the members of the subclass.
    """
    module.__class__ = _swapped(type(module), change)


@cache
def _swapped(base: type[nn.Module], change: type | Members) -> type[nn.Module]:
    """The subclass; one for each base and change."""

    def reduce(self: Any, protocol: int) -> tuple[Any, ...]:
        return restore, (base, change), self.__getstate__()

    mixed = isinstance(change, type)
    members = {
        "__reduce_ex__": reduce,
        "__module__": base.__module__,
        "__doc__": base.__doc__,
        "__qualname__": base.__qualname__,
        **({} if mixed else change(base)),
    }
    bases = (change, base) if mixed else (base,)
    return cast(type[nn.Module], type(base.__name__, bases, members))


def restore(base: type[nn.Module], change: type | Members) -> nn.Module:
    """An empty instance, for `pickle` to fill."""
    cls = _swapped(base, change)
    return cls.__new__(cls)


_restore = restore  # its name in earlier pickles
