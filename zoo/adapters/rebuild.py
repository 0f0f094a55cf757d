"""The forms that a file of attention describes, built again for a host, before it is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from zoo.adapters.statement import Stated
from zoo.build.attention import build_attention
from zoo.errors import (
    ConfigError,
    IncompatibleBackboneError,
    UsageError,
    WeightsMismatchError,
    ZooError,
)
from zoo.hosts import swap
from zoo.hosts.check import check_module
from zoo.hosts.forms import (
    BesideConvolution,
    GatedInput,
    InsteadOfConvolution,
    Record,
    Signal,
    at_a_place,
    on_output,
)
from zoo.hosts.planning.planner import Planned
from zoo.hosts.planning.softmax import BesideSoftmax, InsteadOfSoftmax
from zoo.registry import Registry, names

TAKES_THE_PLACE = ("set", "replace")  # of what stands there, if anything does


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a host a form goes.

    Attributes:
        owner: the module that will have it.
        stood: what it takes the place of, or is joined to; None where nothing stands yet.
    """

    owner: nn.Module
    stood: nn.Module | None


def rebuilt(
    model: nn.Module, added: Sequence[Stated], registry: Registry, where: str
) -> list[Planned]:
    """Every form of a file, in its order, which is that in which those at one module follow.

    Args:
        where: the file, as errors name it.

    Raises:
        IncompatibleBackboneError: the host has no such place. UsageError: it has attention there.
        ConfigError, WeightsMismatchError: the file describes what this version cannot build.
    """
    others = [each for each in added if each.joining != "signal"]
    built = {each.path: _planned(model, each, registry, where) for each in others}
    gates = {p.at: p.form for p in built.values() if isinstance(p.form, GatedInput)}
    return [
        _signal(model, each, gates, where) if each.joining == "signal" else built[each.path]
        for each in added
    ]


def _signal(model: nn.Module, each: Stated, gates: Mapping[str, GatedInput], where: str) -> Planned:
    path, name = each.place()
    if each.partner not in gates:
        raise ConfigError(
            f"the file has no gate {each.partner!r} that looks at {path}",
            where=f"{where}: {each.path}",
        )
    try:
        check_module(model, path)
    except AttributeError as error:
        raise _no_place(error, f"{where}: {each.path}") from error
    return Planned(path=path, name=name, form=Signal(gates[each.partner]), record=each.record())


def _planned(model: nn.Module, each: Stated, registry: Registry, where: str) -> Planned:
    """The form that a row of the file describes, built and not yet in the host."""
    record, at = each.record(), f"{where}: {each.path}"
    path, name = each.place()
    place = _place(model, each, at)
    form = _form(record, _attention(record, registry, at), place.stood)
    _like_its_neighbours(form, place, model)
    return Planned(path=path, name=name, form=form, record=record)


def _place(model: nn.Module, each: Stated, at: str) -> Place:
    """Where the row says, if the host has that place and nothing was added there."""
    path, name = each.place()
    try:
        owner = model.get_submodule(each.owner())
        takes = each.joining in TAKES_THE_PLACE
        stood = getattr(owner, name, None) if takes else model.get_submodule(path)
    except AttributeError as error:
        raise _no_place(error, at) from error
    mend = "zoo.remove_attention(model)"
    if hasattr(owner, name) and not takes:
        raise UsageError(f"{path or 'the model'} has {name!r} already", where=at, remedy=mend)
    lost = each.joining == "replace" and stood is not None and bool(swap.added(stood))
    if lost or (stood is not None and swap.RECORD in vars(stood)):
        raise UsageError(f"{path} has an attention already", where=at, remedy=mend)
    if each.joining != "set":
        check_module(model, path)
    return Place(owner, stood)


def _no_place(error: AttributeError, at: str) -> IncompatibleBackboneError:
    return IncompatibleBackboneError(f"the host has no such place: {error}", where=at)


def _attention(record: Record, registry: Registry, at: str) -> nn.Module:
    spec = names.attention(record.mechanism, registry)
    try:
        return build_attention(spec, registry, record.channels, record.options)
    except ZooError as error:
        raise WeightsMismatchError(
            f"{record.mechanism} of this version cannot be built as the file says: {error.what}",
            where=at,
            remedy="the version of the zoo that wrote the file",
        ) from error


def _form(record: Record, attention: nn.Module, stood: nn.Module | None) -> nn.Module:
    """The attention, joined to what stands at its place as the record says."""
    if record.softmax:
        assert stood is not None
        made = InsteadOfSoftmax if record.joining == "replace" else BesideSoftmax
        return made(attention, stood)
    if record.joining == "replace":
        return InsteadOfConvolution(attention)
    if record.joining == "beside":
        return BesideConvolution(attention)
    if record.joining == "before":
        return GatedInput(attention, alpha=record.form == "residual")
    if record.joining == "set":
        base = None if type(stood) is nn.Identity else stood
        return at_a_place(record, attention, base)
    return on_output(record, attention)


def _like_its_neighbours(form: nn.Module, place: Place, model: nn.Module) -> None:
    """On the device, in the precision and in the mode of what is around it."""
    near = place.owner if place.stood is None else place.stood
    nearest = (p for m in (near, model) for p in m.parameters())
    like = next((p for p in nearest if p.is_floating_point()), None)
    if like is not None:
        form.to(device=like.device, dtype=like.dtype)
    form.train(place.owner.training)
