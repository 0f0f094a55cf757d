"""Putting a module at a site, without renaming any key of the backbone."""

from __future__ import annotations

import inspect
from functools import cache
from types import FunctionType
from typing import Any, cast

from torch import Tensor, nn


def set_module(model: nn.Module, path: str, module: nn.Module) -> None:
    """Replace (or fill) the attribute at `path`."""
    parent, _, leaf = path.rpartition(".")
    owner = model.get_submodule(parent)
    if isinstance(owner, nn.Sequential | nn.ModuleList | nn.ModuleDict):
        owner.add_module(leaf, module)
    else:
        setattr(owner, leaf, module)


def after(module: nn.Module, attention: nn.Module) -> None:
    """From now on `module(x)` is `attention(module(x))`; its keys stay, `attn.*` are added."""
    module.attn = attention
    module.__class__ = _swapped(type(module), "after")


def beside(module: nn.Module, attention: nn.Module) -> None:
    """From now on `module(x)` is `module(x) + attention(x)`; its keys stay."""
    module.attn = attention
    module.__class__ = _swapped(type(module), "beside")


@cache
def _swapped(base: type[nn.Module], way: str) -> type[nn.Module]:
    """A subclass of `base` that attends to its output, or adds to it. One for each base."""

    def attended(self: Any, x: Tensor) -> Tensor:
        return self.attn(self.unattended(x))

    def added(self: Any, x: Tensor) -> Tensor:
        return self.unattended(x) + self.attn(x)

    def attended_of_more(self: Any, x: Any, *rest: Any, **options: Any) -> Tensor:
        return self.attn(self.unattended(x, *rest, **options))

    def added_to_more(self: Any, x: Any, *rest: Any, **options: Any) -> Tensor:
        return self.unattended(x, *rest, **options) + self.attn(x)

    def reduce(self: Any, protocol: int) -> tuple[Any, ...]:
        return _restore, (base, way), self.__getstate__()

    # TorchScript takes neither variable arguments nor a call of another class's forward.
    more = len(inspect.signature(base.forward).parameters) > 2
    ways = {"after": (attended, attended_of_more), "beside": (added, added_to_more)}
    members: dict[str, Any] = {
        "forward": ways[way][more],
        "unattended": _renamed(base.forward, "unattended"),
        "__reduce_ex__": reduce,
        "__module__": base.__module__,
    }
    if issubclass(base, nn.ModuleDict):  # a dense block runs its items: not the attention
        members["items"] = lambda self: [i for i in base.items(self) if i[0] != "attn"]
    return cast(type[nn.Module], type(base.__name__, (base,), members))


def _renamed(function: Any, name: str) -> Any:
    """The same function by another name, by which TorchScript tells methods apart."""
    if not isinstance(function, FunctionType):
        return function
    same = FunctionType(
        function.__code__, function.__globals__, name, function.__defaults__, function.__closure__
    )
    same.__kwdefaults__, same.__annotations__ = function.__kwdefaults__, function.__annotations__
    vars(same).update(vars(function))
    return same


def _restore(base: type[nn.Module], way: str) -> nn.Module:
    cls = _swapped(base, way)
    return cls.__new__(cls)
