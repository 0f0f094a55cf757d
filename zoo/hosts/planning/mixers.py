"""Planning what stands in the place of a softmax attention, or beside it."""

from __future__ import annotations

from dataclasses import replace as changed
from typing import TYPE_CHECKING, Any

from torch import nn

from zoo.errors import IncompatibleBackboneError
from zoo.hosts.planning import softmax
from zoo.hosts.reading.layouts import Layout
from zoo.hosts.reading.outputs import Found
from zoo.hosts.reading.where import layout_of
from zoo.insertion.mixers import geometry
from zoo.registry.specs import Form

if TYPE_CHECKING:
    from zoo.hosts.planning.planner import Planned, Planner


def plan_mixer(planner: Planner, path: str) -> Planned:
    """In its place where the mixer starts as the same function or the form is plain; else beside.

    Raises:
        UsageError: there is an attention already.
        IncompatibleBackboneError: the module is no softmax attention that is understood, was never
            called, has tokens that the mixer has not, or is another function.
    """
    planner.check_place(path)
    module = planner.model.get_submodule(path)
    kind, found = _kind(planner, path), _seen(planner, path)
    width, heads = softmax.width_and_heads(module)
    known: dict[str, Any] = geometry(module) if kind == "timm" else {"num_heads": heads}
    layout = Layout(kind="tokens")
    if planner.mechanism.spec.insertion.needs_size:
        _, layout = layout_of(planner.survey, path, planner.told)
        known["class_token"] = layout.prefix == 1
    attention, record = planner.build(path, width, layout, found.shape, known)
    _check_prefix(planner, path, attention, layout)

    form = _form(planner, path, attention, kind)
    stands_in = form in ("exact", "plain")
    joining = "replace" if stands_in else "beside"
    if stands_in:
        planner.check_empty(path)
    record = changed(record, form=form, softmax=kind, joining=joining)
    made = softmax.InsteadOfSoftmax if stands_in else softmax.BesideSoftmax
    return planner.planned(path, made(attention, module), record, found.dtype, found.device)


def _kind(planner: Planner, path: str) -> str:
    module = planner.model.get_submodule(path)
    kind = softmax.kind_of(module)
    if kind:
        return kind
    known = ", ".join(softmax.understood(planner.model)[:3])
    raise IncompatibleBackboneError(
        f"{path} is a {type(module).__name__}, and {planner.mechanism.spec.name} replaces a "
        "softmax attention that is understood",
        where="at",
        remedy=f"among {known}, ..." if known else "another mechanism: none is there",
    )


def _seen(planner: Planner, path: str) -> Found:
    found = next(iter(planner.survey.outputs(path)), None)
    if found is None:
        raise IncompatibleBackboneError(f"{path} {planner.survey.why_not(path)}", where="at")
    return found


def _check_prefix(planner: Planner, path: str, attention: nn.Module, layout: Layout) -> None:
    """A mixer of a grid can stand in the place of an attention only if there is nothing else."""
    left_out = layout.prefix - getattr(attention, "num_prefix_tokens", 0)
    if left_out and planner.mechanism.form == "plain":
        raise IncompatibleBackboneError(
            f"{planner.mechanism.spec.name} needs a grid of tokens, and {path} has {left_out} more",
            where="at",
            remedy="insertion='residual'",
        )


def _form(planner: Planner, path: str, attention: Any, kind: str) -> Form:
    """As asked, or as the spec prefers: `exact` if the mixer takes over what stands there."""
    module: Any = planner.model.get_submodule(path)
    same = kind == "timm" and hasattr(attention, "take_over") and attention.take_over(module)
    asked = planner.mechanism.form
    if asked == "exact" and not same:
        raise IncompatibleBackboneError(
            f"{planner.mechanism.spec.name} cannot start as what {path} computes",
            where="insertion='exact'",
            remedy="insertion='residual'",
        )
    if asked == "plain":
        return "plain"
    preferred = asked or planner.mechanism.spec.insertion.warm_form
    return "exact" if preferred == "exact" and same else "residual"
