"""Putting a module at a site, without renaming any key of the backbone."""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import Any

from torch import Tensor, nn

from zoo.runtime.swapping import restore, swap


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
    swap(module, attended)


def beside(module: nn.Module, attention: nn.Module) -> None:
    """From now on `module(x)` is `module(x) + attention(x)`; its keys stay."""
    module.attn = attention
    swap(module, added)


def is_joined(module: nn.Module) -> bool:
    """Whether `after` or `beside` joined an attention to the module, as its child `attn`."""
    return hasattr(type(module), "unattended")


def attended(base: type[nn.Module]) -> dict[str, Any]:
    """The members of a subclass that attends to the output of `base`."""

    def forward(self: Any, x: Tensor) -> Tensor:
        return self.attn(self.unattended(x))

    def forward_of_more(self: Any, x: Any, *rest: Any, **options: Any) -> Tensor:
        return self.attn(self.unattended(x, *rest, **options))

    return _members(base, forward, forward_of_more)


def added(base: type[nn.Module]) -> dict[str, Any]:
    """The members of a subclass that adds attention to the output of `base`."""

    def forward(self: Any, x: Tensor) -> Tensor:
        return self.unattended(x) + self.attn(x)

    def forward_of_more(self: Any, x: Any, *rest: Any, **options: Any) -> Tensor:
        return self.unattended(x, *rest, **options) + self.attn(x)

    return _members(base, forward, forward_of_more)


def _members(base: type[nn.Module], forward: Any, forward_of_more: Any) -> dict[str, Any]:
    # TorchScript takes neither variable arguments nor a call of another class's forward.
    more = len(inspect.signature(base.forward).parameters) > 2
    members: dict[str, Any] = {
        "forward": forward_of_more if more else forward,
        "unattended": _renamed(base.forward, "unattended"),
    }
    if issubclass(base, nn.ModuleDict):  # a dense block runs its items: not the attention
        members["items"] = lambda self: [i for i in base.items(self) if i[0] != "attn"]
    return members


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
    """What pickles of version 0.1 call."""
    return restore(base, {"after": attended, "beside": added}[way])
