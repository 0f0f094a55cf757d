"""Putting a form into a host and taking it out again, without renaming a key or using a hook.

A form is a child of the module whose output it attends to. The module's class is swapped for a
subclass of the same name, whose `forward` hands its output on to the form.
"""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, cast

from torch import nn

from zoo.hosts.forms import Record
from zoo.insertion import attach
from zoo.runtime import swapping

ADDED = "zoo_added"  # on an attended module: the names of the forms that are its children
RECORD = "zoo_record"  # on a form
CHILDREN = ("after", "beside", "before", "signal")  # joined through the module's forward
STOOD = "zoo_stood"  # on a form that took a module's place: what stood there, in a list


def added(model: nn.Module) -> list[tuple[str, nn.Module, Record]]:
    """Path, form and record of everything that was added to a host, in order."""
    found = ((path, m, vars(m).get(RECORD)) for path, m in model.named_modules())
    return [(path, module, record) for path, module, record in found if record is not None]


def forms_of(module: nn.Module) -> tuple[str, ...]:
    """The names of the forms that attend to a module's output."""
    return vars(module).get(ADDED, ())


def attend(module: nn.Module, name: str, form: nn.Module) -> None:
    """From now on the output of `module` goes through `form`, its child of that name."""
    if not forms_of(module):
        swapping.swap(module, attended)  # may be refused, so it comes first
    module.add_module(name, form)
    vars(module)[ADDED] = (*forms_of(module), name)


def unattend(module: nn.Module, name: str) -> None:
    """Undo `attend`."""
    del module._modules[name]
    rest = tuple(other for other in forms_of(module) if other != name)
    vars(module)[ADDED] = rest
    if not rest:
        del vars(module)[ADDED]
        swapping.unswap(module)


def put(model: nn.Module, path: str, name: str, form: nn.Module, record: Record) -> None:
    """Put a form at the module (or the place) at `path`."""
    vars(form)[RECORD] = record
    if record.joining in CHILDREN:
        attend(model.get_submodule(path), name, form)
    elif record.joining == "child":
        model.get_submodule(path).add_module(name, form)
    else:
        parent, _, leaf = path.rpartition(".")
        stood = getattr(model.get_submodule(parent), leaf)
        vars(form)[STOOD] = [stood]
        for each in _paths_of(model, stood) or [path]:
            attach.set_module(model, each, form)


def take_out(model: nn.Module, path: str, form: nn.Module) -> None:
    """Undo `put`, for the form at `path`."""
    record: Record = vars(form)[RECORD]
    parent, _, name = path.rpartition(".")
    owner = model.get_submodule(parent)
    if record.joining in CHILDREN:
        unattend(owner, name)
    elif record.joining == "child":
        del owner._modules[name]
    else:
        (stood,) = vars(form)[STOOD]
        _follow(stood, form)
        for each in _paths_of(model, form):
            _restore_at(model, each, stood)


def _follow(stood: nn.Module | None, form: nn.Module) -> None:
    """Bring what stood there into the mode and to where the host, which took only the form along,
    is now.
    """
    if stood is None:
        return
    stood.train(form.training)
    like = next((p for p in form.parameters() if p.is_floating_point()), None)
    if like is not None:
        stood.to(device=like.device, dtype=like.dtype)


def _restore_at(model: nn.Module, path: str, stood: nn.Module | None) -> None:
    parent, _, leaf = path.rpartition(".")
    owner = model.get_submodule(parent)
    if stood is None and "_modules" in vars(owner):
        owner._modules[leaf] = None
    else:
        attach.set_module(model, path, cast(nn.Module, stood))


def _paths_of(model: nn.Module, module: nn.Module | None) -> list[str]:
    """Every path under which the host knows the module."""
    everywhere = model.named_modules(remove_duplicate=False)
    return [path for path, each in everywhere if each is module] if module is not None else []


def attended(base: type[nn.Module]) -> dict[str, Any]:
    """The members of a subclass of `base` whose output, or input, goes through its forms."""

    @wraps(base.forward)
    def forward(self: Any, *inputs: Any, **keywords: Any) -> Any:
        forms = [getattr(self, name) for name in self.zoo_added]
        for form in forms:
            if form.zoo_record.joining == "before":
                inputs, keywords = form.before(inputs, keywords)
        output = base.forward(self, *inputs, **keywords)
        for form in forms:
            if form.zoo_record.joining != "before":
                output = form(output, inputs, keywords)
        return output

    if issubclass(base, nn.Sequential | nn.ModuleList):
        return {"forward": forward, **_SEQUENCE}
    return {"forward": forward, **(_DICT if issubclass(base, nn.ModuleDict) else {})}


# A container runs, counts and gives out its own modules, not the forms beside them.


def _own(self: Any) -> OrderedDict[str, nn.Module]:
    forms = self.zoo_added
    return OrderedDict((key, m) for key, m in self._modules.items() if key not in forms)


def _item(self: Any, index: Any) -> nn.Module:
    own = _own(self)
    if isinstance(index, slice):
        kind: Any = swapping.base_of(type(self))
        taken = OrderedDict(list(own.items())[index])
        return kind(taken.values() if issubclass(kind, nn.ModuleList) else taken)
    return list(own.values())[operator.index(index)]


def _modules(self: Any) -> Iterator[nn.Module]:
    return iter(_own(self).values())


_COUNT: dict[str, Callable[..., Any]] = {"__len__": lambda self: len(_own(self))}
_SEQUENCE = _COUNT | {"__iter__": _modules, "__getitem__": _item}
_DICT = _COUNT | {
    "__iter__": lambda self: iter(_own(self)),
    "__contains__": lambda self, key: key in _own(self),
    "keys": lambda self: _own(self).keys(),
    "items": lambda self: _own(self).items(),
    "values": lambda self: _own(self).values(),
}
