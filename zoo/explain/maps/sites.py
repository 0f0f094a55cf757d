"""What an attention did to the maps of the model that it was put into, whatever it is.

At each place of an attention f in its form g (`zoo.insertion.forms`: f(x), f(x) / c or
x + alpha (f(x) - x)), the gain says how much each position grew or shrank:

    |g(x)| / |x|                       norms over the channels; 1 where nothing changed
    |h(x) + alpha f(x)| / |h(x)|       of what stands beside a convolution or a softmax attention h
    |f(x)| / |x|                       of what stands in the place of one; 1 means nothing there

For a gate, the gain is the gate itself, averaged over the channels by their weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from zoo.hosts import swap
from zoo.hosts.reading.outputs import find, take
from zoo.insertion.attach import is_joined
from zoo.insertion.forms import AddedBranch, Attended
from zoo.insertion.placed import placed
from zoo.registry import default_registry
from zoo.runtime.model_record import ModelRecord, record_of

Role: TypeAlias = Literal["refines", "beside", "instead"]
SAME = 1e-4  # of the largest value: what is closer is the same, up to rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Inserted:
    """An attention in a model.

    Attributes:
        path: of its place. name: of the mechanism; empty of a module that the user names.
        attention: f. form: what holds f and says how it is combined; f itself if nothing does.
        outer: of what stands beside a module whose class was changed, that module.
    """

    path: str
    name: str
    role: Role
    attention: nn.Module
    form: nn.Module
    outer: nn.Module | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What an attention did to one image.

    Attributes:
        values: (h, w), or (N,) of tokens.
        by_channel: the gain of each channel (C,), where all positions have the same; else None.
        same: whether the output is the input, up to rounding.
        factor: c, where the output is c times the input, up to rounding.
        alpha: of a form that has one.
        empty: whether the input is zero, so that there is nothing to scale.
    """

    values: Tensor
    by_channel: Tensor | None = None
    same: bool = False
    factor: float | None = None
    alpha: float | None = None
    empty: bool = False


def has_sites(model: nn.Module) -> bool:
    """Whether the zoo put an attention into the model."""
    return bool(inserted(model))


def inserted(model: nn.Module) -> list[Inserted]:
    """The attentions that `create_model` and `add_attention` put into a model, in its order."""
    record = record_of(model)
    found = placed(model, record.sites) if record is not None else []
    built = [_built(path, module, record) for path, module in found if record is not None]
    added = [_added(model, *row) for row in swap.added(model)]
    order = {path: i for i, (path, _) in enumerate(model.named_modules())}
    return sorted([*built, *added], key=lambda each: order.get(each.path, 0))


def named(path: str, module: nn.Module) -> Inserted:
    """Any module, as if it had been put there to refine what it is given."""
    return Inserted(path=path, name="", role="refines", attention=module, form=module)


def _built(path: str, module: nn.Module, record: ModelRecord) -> Inserted:
    inner: Any = getattr(module, "attn", None)
    if is_joined(module):
        if isinstance(inner, AddedBranch):
            return Inserted(path=path, name=record.attention, role="beside", attention=inner.attn,
                            form=inner, outer=module)  # fmt: skip
        module, inner = inner, getattr(inner, "attn", None)
    formed = isinstance(module, Attended)
    spec = default_registry().attentions.get(record.attention)
    mixes = type(module).__name__ == "Mixer"
    refines = formed or (not mixes and (spec is None or spec.insertion.role == "refine"))
    attention = inner if (formed or mixes) and inner is not None else module
    role: Role = "refines" if refines else "instead"
    return Inserted(path=path, name=record.attention, role=role, attention=attention, form=module)


def _added(model: nn.Module, path: str, form: Any, record: Any) -> Inserted:
    roles: dict[str, Role] = {"beside": "beside", "replace": "instead"}
    role = roles.get(record.joining, "refines")
    return Inserted(path=path, name=record.mechanism, role=role, attention=form.attn, form=form)


@dataclass
class Gains:
    """The gains of a pass, by path.

    Attributes:
        known: of the places of attention.
        by_axis: of a map at a module that the user names: its gain, once it is known which axis
            has the channels.
    """

    known: dict[str, Gain] = field(default_factory=dict[str, Gain])
    by_axis: dict[str, Callable[[int], Gain]] = field(
        default_factory=dict[str, Callable[[int], Gain]]
    )


@contextmanager
def watched(places: Sequence[Inserted]) -> Iterator[Gains]:
    """While the model runs, the gains of these places are found."""
    found = Gains()
    hooks: list[Any] = []
    try:
        for each in places:
            hooks.extend(_watch(each, found))
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _watch(each: Inserted, found: Gains) -> list[Any]:
    if each.role != "beside":
        given = _Given()
        return [
            each.attention.register_forward_pre_hook(given.keep, with_kwargs=True),
            each.attention.register_forward_hook(partial(_note, each, found, given)),
        ]
    if each.outer is None:  # the form is called with what the module gave
        return [each.form.register_forward_hook(partial(_note_joined, each, found))]
    branch = _Branch()
    return [
        each.form.register_forward_hook(branch.keep),
        each.outer.register_forward_hook(partial(_note_sum, each, found, branch)),
    ]


@dataclass
class _Given:
    """A copy of what a module is given, which it may write to."""

    value: Tensor | None = field(default=None)

    def keep(self, _module: nn.Module, inputs: Any, keywords: Any) -> None:
        way = find((inputs, keywords))
        self.value = take((inputs, keywords), way.way).clone() if way is not None else None


@dataclass
class _Branch:
    """The last output of a branch, until what it is added to is known."""

    value: Tensor | None = field(default=None)

    def keep(self, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        self.value = output


def _note(
    each: Inserted, found: Gains, given: _Given, _module: nn.Module, _inputs: Any, y: Any
) -> None:
    x, out = given.value, find(y)
    if x is None or out is None:
        return
    y = take(y, out.way)
    alpha: Any = getattr(each.form, "alpha", None) if each.role == "refines" else None
    scale: Any = getattr(each.form, "gate_scale", None)
    if x.shape == y.shape and alpha is not None:
        y = x + alpha.to(x.dtype) * (y - x)
    elif x.shape == y.shape and scale is not None:
        y = y * scale.to(x.dtype)
    _keep(each, found, x, y, alpha)


def _note_joined(each: Inserted, found: Gains, _form: nn.Module, inputs: Any, joined: Any) -> None:
    before, after = find(inputs[0]), find(joined)
    if before is not None and after is not None:
        x, y = take(inputs[0], before.way), take(joined, after.way)
        _keep(each, found, x, y, getattr(each.form, "alpha", None))


def _note_sum(
    each: Inserted, found: Gains, branch: _Branch, _outer: Any, _inputs: Any, y: Any
) -> None:
    if isinstance(y, Tensor) and branch.value is not None and branch.value.shape == y.shape:
        _keep(each, found, y - branch.value, y, getattr(each.form, "alpha", None))


def _keep(each: Inserted, found: Gains, x: Tensor, y: Tensor, alpha: Any) -> None:
    if x.shape != y.shape or x.ndim not in (3, 4) or len(x) != 1 or not x.is_floating_point():
        return
    x, y = x.detach().float(), y.detach().float()
    gain = partial(_gain, each.role, x, y, None if alpha is None else float(alpha))
    if x.ndim == 4 and not each.name:
        found.by_axis[each.path] = gain
    else:
        found.known[each.path] = gain(1 if x.ndim == 4 else 2)


def _gain(role: Role, x: Tensor, y: Tensor, alpha: float | None, axis: int) -> Gain:
    """Of one image, whose channels lie along `axis`."""
    values = ratio(y.norm(dim=axis)[0], x.norm(dim=axis)[0]).cpu()
    same, factor, by_channel, empty = False, None, None, not bool(x.any())
    if role != "instead" and not empty:
        by_channel, factor = _gates(x, y, axis)
        same = factor is not None and abs(factor - 1) < SAME
    return Gain(
        values=values, by_channel=by_channel, same=same, factor=factor, empty=empty, alpha=alpha
    )


def ratio(y: Tensor, x: Tensor) -> Tensor:
    """y / x of norms; 1 where both are zero, since nothing was changed there."""
    least = torch.finfo(x.dtype).tiny
    return torch.where((x <= least) & (y <= least), torch.ones_like(x), y / x.clamp(min=least))


def _gates(x: Tensor, y: Tensor, axis: int) -> tuple[Tensor | None, float | None]:
    """The gain of each channel, if it is the same everywhere; and that of all, if they are."""
    over = tuple(a for a in range(1, x.ndim) if a != axis)
    energy = (x * x).sum(over)
    gates = (y * x).sum(over) / energy.clamp(min=torch.finfo(x.dtype).tiny)
    shape = [-1 if a == axis else 1 for a in range(x.ndim)]
    within = SAME * y.abs().max()
    if bool((y - gates.view(shape) * x).abs().max() > within):
        return None, None
    gates = gates[0][energy[0] > 0].cpu()
    factor = float((x * y).sum() / (x * x).sum())
    is_one = bool((y - factor * x).abs().max() <= within)
    return gates, factor if is_one else None
