"""Planning a gate on a skip connection: which map, which signal, and where the gate goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace as changed
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from torch import nn

from zoo.errors import IncompatibleBackboneError, UsageError
from zoo.hosts import places
from zoo.hosts.check import check_module
from zoo.hosts.forms import GatedInput, Record, Signal
from zoo.hosts.planning.building import check_shape
from zoo.hosts.reading.layouts import Layout
from zoo.hosts.reading.outputs import Found
from zoo.hosts.reading.skips import Skip, find_skip
from zoo.hosts.reading.where import layout_of
from zoo.hosts.swap import RECORD, forms_of

if TYPE_CHECKING:
    from zoo.hosts.planning.planner import Planned, Planner

REMEDY = 'at={"x": "encoder.layer3", "gate": "encoder.layer4"}'


def plan_gates(planner: Planner, at: Any) -> list[Planned]:
    """The forms for the skip connections that `at` names: a gate for each, and its signal.

    Raises:
        UsageError: `at` does not name an "x" and a "gate", or the mechanism takes no second map.
        IncompatibleBackboneError: the map is not taken up again, or is no (B, C, H, W).
    """
    spec = planner.mechanism.spec
    if not planner.mechanism.gates_skips:
        raise UsageError(
            f"{spec.name} takes one map, and no gating signal", where="at", remedy='at=["layer4"]'
        )
    taken: dict[str, set[str]] = {}
    planned: list[Planned] = []
    for pair in at if isinstance(at, Sequence) and not isinstance(at, str) else [at]:
        planned += _plan(planner, *_paths(planner.model, pair, spec.name), taken)
    return planned


def _paths(model: nn.Module, pair: Any, name: str) -> tuple[str, str]:
    if not isinstance(pair, Mapping) or set(pair) != {"x", "gate"}:
        raise UsageError(
            f"{name} gates a skip connection: it needs the module that gives the map x, and the "
            "one that gives the gating signal",
            where=f"at={pair!r:.100}",
            remedy=REMEDY,
        )
    found = {key: places.named(model, path) for key, path in pair.items()}
    for key, paths in found.items():
        if len(paths) != 1:
            raise UsageError(
                f"{pair[key]!r} names {len(paths)} modules, not one", where=f"at, {key!r}"
            )
    return found["x"][0], found["gate"][0]


def _plan(planner: Planner, x: str, gate: str, taken: dict[str, set[str]]) -> list[Planned]:
    """The gate before the module that takes the map up again, and what hands it its signal."""
    found, signal = _map(planner, x), _map(planner, gate)
    skip = _skip(planner, x, found, gate)
    layout, more = Layout(kind="nchw"), {"gating_channels": signal.shape[1]}
    attention, record = planner.build(x, found.shape[1], layout, found.shape, more)
    shapes = (found.shape, found.shape)
    check_shape(
        planner.mechanism, x, attention, lambda m, y: m(y, y.new_empty(signal.shape)), shapes
    )
    plain = planner.mechanism.form == "plain"
    record = changed(
        record, joining="before", form="plain" if plain else "residual",
        argument=skip.argument, first=skip.first, end=skip.end,
    )  # fmt: skip
    form = GatedInput(attention, alpha=not plain)
    name = _name(planner, skip.path, "", taken)
    first = planner.planned(skip.path, form, record, found.dtype, found.device, name)
    told = changed(record, joining="signal", way=signal.way, partner=first.at)
    name = _name(planner, gate, "_signal", taken)
    second = planner.planned(gate, Signal(form), told, signal.dtype, signal.device, name)
    return [first, second]


def _map(planner: Planner, path: str) -> Found:
    """The map (B, C, H, W) that the module gives, in its one call."""
    check_module(planner.model, path)
    found, layout = layout_of(planner.survey, path, planner.told)
    if layout.kind != "nchw" or len(planner.survey.outputs(path)) != 1:
        raise IncompatibleBackboneError(
            f"{path} does not give one map (B, C, H, W)", where="at", remedy=REMEDY
        )
    return found


def _skip(planner: Planner, x: str, found: Found, gate: str) -> Skip:
    skip = find_skip(planner.model, planner.survey.example, x, found.way, gate)
    if skip is None:
        raise IncompatibleBackboneError(
            f"no module is called with what {x} gives after {gate} has run, as it is or "
            "concatenated with other maps",
            where="at",
            remedy="the modules that give the map of a skip connection and, later, the signal",
        )
    check_module(planner.model, skip.path)
    taker = planner.model.get_submodule(skip.path)
    for name in forms_of(taker):
        other: Record = vars(getattr(taker, name))[RECORD]
        same = (other.joining, other.argument, other.first) == ("before", *skip[1:3])
        if same and planner.name is None:
            raise UsageError(
                f"the skip connection from {x} to {skip.path} has a gate already",
                where="at",
                remedy='name="second", if two are meant; or zoo.remove_attention(model)',
            )
    return skip


def _name(planner: Planner, path: str, ending: str, taken: dict[str, set[str]]) -> str:
    """A name that the module at `path` has not given away yet."""
    module, used = planner.model.get_submodule(path), taken.setdefault(path, set())
    wanted = f"{planner.name or planner.mechanism.spec.name}{ending}"
    names = chain([wanted], (f"{wanted}_{number}" for number in count(2)))
    name = next(n for n in names if not hasattr(module, n) and n not in used)
    used.add(name)
    return name
