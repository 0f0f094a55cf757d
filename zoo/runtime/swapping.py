"""Changing what one module does without renaming any of its keys: its class becomes a subclass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias, cast

from torch import nn

Members: TypeAlias = Callable[[type[nn.Module]], Mapping[str, Any]]
_MADE: dict[type, tuple[type[nn.Module], Any]] = {}  # of each subclass, its base and the change


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


def unswap(module: nn.Module) -> None:
    """Undo the last `swap` of the module."""
    module.__class__ = _MADE[type(module)][0]


def base_of(cls: type) -> type[nn.Module] | None:
    """The class that a swapped one was made from; None of a class that is not swapped."""
    made = _MADE.get(cls)
    return made[0] if made is not None else None


@cache
def _swapped(base: type[nn.Module], change: type | Members) -> type[nn.Module]:
    """The subclass; one for each base and change."""

    def reduce(self: Any, protocol: int) -> tuple[Any, ...]:
        return restore, (_reference(base), change), self.__getstate__()

    mixed = isinstance(change, type)
    members = {
        "__reduce_ex__": reduce,
        "__module__": base.__module__,
        "__doc__": base.__doc__,
        "__qualname__": base.__qualname__,
        **({} if mixed else change(base)),
    }
    bases = (change, base) if mixed else (base,)
    made = cast(type[nn.Module], type(base.__name__, bases, members))
    _MADE[made] = base, change
    return made


def restore(base: Any, change: type | Members) -> nn.Module:
    """An empty instance, for `pickle` to fill."""
    cls = _swapped(_referred(base), change)
    return cls.__new__(cls)


def _reference(base: type) -> Any:
    """What `pickle` can name: the class, or of a swapped one what it was made of."""
    made = _MADE.get(base)
    return base if made is None else (_reference(made[0]), made[1])


def _referred(reference: Any) -> type[nn.Module]:
    if isinstance(reference, tuple):
        return _swapped(_referred(reference[0]), reference[1])
    return reference


_restore = restore  # its name in earlier pickles
