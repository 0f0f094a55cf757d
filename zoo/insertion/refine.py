"""Attention that refines a map: find the maps, start the modules as asked, put them there."""

from __future__ import annotations

from math import inf
from typing import Any

from torch import nn

from zoo.errors import IncompatibleBackboneError, PluginError
from zoo.insertion import attach
from zoo.insertion.families import block_sites, own_attention_sites
from zoo.insertion.forms import Attended, ResidualAttended, ScaledAttended
from zoo.insertion.request import Request, Target
from zoo.insertion.sites import Site, matches
from zoo.insertion.stages import named_sites, stage_sites
from zoo.insertion.starts import residual_alpha
from zoo.registry.specs import Form

PLACEMENTS = ("block", "stage", "between_stages")


def refine(request: Request, *, own: bool) -> list[str]:
    """Put one module at each site; `own`: where the backbone has attention of its own."""
    found = _own_sites(request.target) if own else _sites(request)
    chosen = _choose(request, found)
    for site in chosen:
        _put(request, site, request.make(site))
    return [site.path for site in chosen]


def _own_sites(target: Target) -> list[Site]:
    found = own_attention_sites(target.model)
    if not found:
        raise IncompatibleBackboneError(
            f"{target.name} has no attention of its own to replace",
            remedy="leave replace out",
        )
    return found


def _sites(request: Request) -> list[Site]:
    placement = _placement(request) or request.spec.insertion.placement
    if placement == "block":
        found = block_sites(request.target.model) or stage_sites(request.target)
    else:
        found = stage_sites(request.target)[: -1 if placement == "between_stages" else None]
    if not found:
        raise request.no_place()
    return found


def _placement(request: Request) -> str | None:
    """The placement that `sites` is, if it is one and not paths."""
    only = request.sites[0] if request.sites is not None and len(request.sites) == 1 else None
    return only if only in PLACEMENTS else None


def _choose(request: Request, found: list[Site]) -> list[Site]:
    """Those that are named, whatever they cost; else the attention's own choice."""
    named = request.sites is not None and not _placement(request)
    if named:
        chosen = request.named(_more(request.target, found, request.sites or ()))
    else:
        chosen = request.by_default(found)
    if request.asks_for_sizes:
        chosen = request.target.sized(chosen)
    return chosen if named else request.affordable(chosen)


def _more(target: Target, found: list[Site], wanted: tuple[str, ...]) -> list[Site]:
    """The candidates, then the ends of stages, then any module that is named by its full path.

    Each is looked for only if what comes before it does not match all that is wanted.
    """
    for more in (stage_sites, named_sites):
        missing = [p for p in wanted if not any(matches(site.path, p) for site in found)]
        if missing:
            known = {site.path for site in found}
            found = [*found, *(s for s in more(target, missing) if s.path not in known)]
    return found


def _put(request: Request, site: Site, attention: nn.Module) -> None:
    form, model = request.insertion, request.target.model
    gate = _start(request, attention) if form == "exact" else 1.0
    swap = site.way == "swap"
    base = None if swap else _standing(model, site)
    bare = base is None and form != "residual" and gate == 1.0 and not site.channels_last
    module = attention if bare else _form(form, attention, base, gate, site)
    if swap:
        attach.after(model.get_submodule(site.path), module)
    else:
        attach.set_module(model, site.path, module)


def _start(request: Request, attention: nn.Module) -> float:
    """Start the attention as c x and return c, as `init_identity` says it."""
    gate: object = attention.init_identity()  # pyright: ignore[reportCallIssue]
    if not isinstance(gate, int | float) or not 0 < abs(gate) < inf:
        raise PluginError(
            f"init_identity() of {request.spec.name} returned {gate!r}, not the constant c of c x",
            where=request.spec.target,
            remedy="return c from init_identity(), a finite number other than 0",
        )
    return float(gate)


def _form(
    form: Form, attention: nn.Module, base: nn.Module | None, gate: float, site: Site
) -> nn.Module:
    where: dict[str, Any] = {"channels_last": site.channels_last}
    if site.way != "swap":
        where["base_first"] = site.base_first
    if form == "residual":
        alpha = residual_alpha(attention)
        return ResidualAttended(attention, base, alpha=alpha, **where)
    if gate != 1.0:
        return ScaledAttended(attention, base, gate=gate, **where)
    return Attended(attention, base, **where)


def _standing(model: nn.Module, site: Site) -> nn.Module | None:
    """The parameter-free module at the site, which is kept; None for nothing or an identity."""
    parent, _, leaf = site.path.rpartition(".")
    module = getattr(model.get_submodule(parent), leaf, None)
    if module is None or type(module) is nn.Identity or any(True for _ in module.parameters()):
        return None
    return module
