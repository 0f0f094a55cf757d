"""Hosts and modules that cannot be given attention: one clear error before anything is changed."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from zoo.errors import IncompatibleBackboneError, UsageError
from zoo.insertion.layers import is_norm
from zoo.runtime.swapping import base_of

# classes of wrappers, by name since some are in optional parts of torch: what to do instead
WRAPPERS = {
    "OptimizedModule": "is compiled: zoo.add_attention(model._orig_mod, ...), then torch.compile",
    "DistributedDataParallel": "is wrapped for several processes, which would not learn of new "
    "parameters: zoo.add_attention(model.module, ...) before it is wrapped",
    "FullyShardedDataParallel": "is sharded: add the attention before it is wrapped",
    "FSDPModule": 'is sharded: add the attention before fully_shard, with insertion="exact", since '
    "fully_shard takes no scalars, as the alpha of the residual form is",
}

SCRIPTED = (
    "is compiled by TorchScript: zoo.add_attention to the Python module, then torch.jit.script or "
    "torch.jit.trace"
)


def check_host(model: Any) -> None:
    """The host is a module that nobody has compiled, wrapped or sharded.

    Raises:
        UsageError: it is no module. IncompatibleBackboneError: says which part is what.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"a {type(model).__name__} is no torch.nn.Module",
            remedy="zoo.add_attention(model, ...) takes the model itself, not its name",
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise _wrapped(model, "", SCRIPTED)
    for path, module in model.named_modules():
        for cls in type(module).__mro__:
            if cls.__name__ in WRAPPERS and cls.__module__.startswith("torch."):
                raise _wrapped(model, path, WRAPPERS[cls.__name__])
        if getattr(module, "_compiled_call_impl", None) is not None:
            raise _wrapped(model, path, "is compiled: add the attention before .compile()")
        if any(is_lazy(p) for p in _own(module)):
            raise _wrapped(model, path, "is lazy: run it once, so that its parameters exist")


def check_module(model: nn.Module, path: str) -> None:
    """The module at `path` is one whose output an attention can follow.

    Raises:
        IncompatibleBackboneError: says why not, and what to name instead.
    """
    module = model.get_submodule(path)
    reason = _why_not(model, path, module)
    if reason:
        what, remedy = reason
        raise IncompatibleBackboneError(
            f"{path or 'the model'} ({type(module).__name__}) {what}", where="at", remedy=remedy
        )


def _why_not(model: nn.Module, path: str, module: nn.Module) -> tuple[str, str] | None:
    around = "name the module around it"
    if isinstance(module, torch.jit.ScriptModule):
        return "is compiled by TorchScript, so nothing can be added to it", around
    if is_norm(module) and not isinstance(module, nn.Sequential):
        return (
            "is a norm: tools that freeze or synchronise norms build a new one in its place, and "
            "the attention would be lost",
            "name the convolution before it, the activation after it, or the block around it",
        )
    if "forward" in vars(module):
        return "has a forward of its own, set on the instance, which the attention's would hide", (
            f"take off what replaced it, or {around}"
        )
    if parametrize.is_parametrized(module):
        return "has parametrised weights, whose tools swap its class themselves", around
    if _own_pickling(type(module)):
        return "has its own way to be pickled, which would lose the attention", around
    if _in_fast_path(model, path):
        return (
            "is part of a torch.nn.TransformerEncoderLayer, which may compute the whole layer "
            "without calling it",
            "name the layer",
        )
    return None


def _in_fast_path(model: nn.Module, path: str) -> bool:
    parents = [path[:i] for i, letter in enumerate(path) if letter == "."] + ([""] if path else [])
    return any(isinstance(model.get_submodule(p), nn.TransformerEncoderLayer) for p in parents)


def _own_pickling(cls: type) -> bool:
    while (base := base_of(cls)) is not None:  # of a class that the zoo has swapped
        cls = base
    names = ("__reduce_ex__", "__reduce__", "__getnewargs_ex__", "__deepcopy__")
    return any(getattr(cls, n, None) is not getattr(nn.Module, n, None) for n in names)


def _own(module: nn.Module) -> Any:
    return (p for p in module._parameters.values() if p is not None)


def _wrapped(model: nn.Module, path: str, how: str) -> IncompatibleBackboneError:
    what, _, remedy = how.partition(": ")
    name = f"{path} of {type(model).__name__}" if path else type(model).__name__
    return IncompatibleBackboneError(f"{name} {what}", where="model", remedy=remedy)
