"""One pass of a model on fake tensors: which modules run, on what shapes, and what feeds what.

Nothing is computed and nothing of the model changes, neither statistics nor caches nor training
flags: what runs is a copy whose tensors have shapes and no data, in evaluation mode.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves, tree_map_only

from zoo.insertion.attach import set_module


class Value(NamedTuple):
    """A tensor as it was at a moment: `moment` is another once the tensor is written to."""

    moment: tuple[int, int]
    shape: tuple[int, ...]


class Call(NamedTuple):
    """A call of the module at `path`: the first tensor that it takes, and the first it gives.

    `alone` says whether it gives that tensor itself, not a list or the like with it. `seen` is what
    the pass was asked to note of the output.
    """

    path: str
    takes: Value | None
    gives: Value | None
    alone: bool = True
    seen: Any = None


class Pass(NamedTuple):
    """The calls of a pass, and the error that ended it before the model's own end, if one did."""

    calls: list[Call]
    error: Exception | None


def probe(model: nn.Module, *inputs: Any, empty: Iterable[str] = ()) -> list[Call]:
    """Every call of every module in `model(*inputs)`, in the order in which they end.

    Args:
        inputs: tensors, or lists, tuples and dicts of them; only shape, type and device matter.
        empty: paths of attributes that are None: they are called as if an identity were there.
    """
    run = watch(model, inputs, empty=empty)
    if run.error is not None:
        raise run.error
    return run.calls


def watch(
    model: nn.Module,
    inputs: tuple[Any, ...],
    keywords: Mapping[str, Any] | None = None,
    *,
    empty: Iterable[str] = (),
    note: Callable[[Any], Any] | None = None,
) -> Pass:
    """As `probe`, but a pass that fails gives what ran before (values may decide what runs next).

    Args:
        keywords: of the model's call.
        note: what to keep of the output of each call, in `Call.seen`.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    twin = fake_copy(model, mode)
    for path in empty:
        set_module(twin, path, nn.Identity())
    calls: list[Call] = []
    kept: list[Tensor] = []  # alive as long as their identities are compared
    for path, module in _python_modules(twin):
        _watch(module, path, calls, kept, note)
    with mode, torch.no_grad():
        args, more = tree_map_only(Tensor, mode.from_tensor, (inputs, dict(keywords or {})))
        try:
            twin(*args, **more)
        except Exception as error:  # the model may be anyone's
            return Pass(calls, error)
    return Pass(calls, None)


def fake_copy(model: nn.Module, mode: FakeTensorMode) -> nn.Module:
    """The model with fake tensors in the place of its own, and without the hooks of others."""
    memo: dict[int, Any] = {id(t): mode.from_tensor(t) for t in _tensors(model)}
    twin = copy.deepcopy(model, memo)
    for _, module in _python_modules(twin):
        module._forward_hooks.clear()
        for key, hook in list(module._forward_pre_hooks.items()):
            if not type(hook).__module__.startswith("torch.nn.utils"):  # these compute weights
                del module._forward_pre_hooks[key]
    return twin.eval()


def _python_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Those that can be watched: what TorchScript has compiled is called, but has no hooks."""
    everything = model.named_modules()
    return ((path, m) for path, m in everything if not isinstance(m, torch.jit.ScriptModule))


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    for _, module in _python_modules(model):
        state = vars(module)
        for held in (state, state["_parameters"], state["_buffers"]):
            yield from (value for value in held.values() if isinstance(value, Tensor))


def _watch(
    module: nn.Module,
    path: str,
    calls: list[Call],
    kept: list[Tensor],
    note: Callable[[Any], Any] | None,
) -> None:
    taken: list[Value | None] = []

    def value(found: Any) -> Value | None:
        tensor = next((t for t in tree_leaves(found) if isinstance(t, Tensor)), None)
        if tensor is None:
            return None
        kept.append(tensor)
        return Value((id(tensor), tensor._version), tuple(tensor.shape))

    def before(_module: nn.Module, args: Any, keywords: Any) -> None:
        taken.append(value((args, keywords)))

    def after(_module: nn.Module, _args: Any, output: Any) -> None:
        seen = note(output) if note is not None else None
        alone = isinstance(output, Tensor)
        calls.append(Call(path, taken.pop(), value(output), alone, seen))

    module.register_forward_pre_hook(before, with_kwargs=True)
    module.register_forward_hook(after)
