"""One attention into one backbone: choose the places, build, start as asked, put in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed

from torch import nn

from zoo.errors import IncompatibleBackboneError, OptionError, UsageError
from zoo.insertion import attach, mixers
from zoo.insertion.families import block_sites, conv_sites, own_attention_sites
from zoo.insertion.forms import AddedBranch, Attended, ResidualAttended, ScaledAttended
from zoo.insertion.sites import Site, choose, in_last_stage, small_enough
from zoo.insertion.stages import named_sites, stage_sites
from zoo.specs import AttentionSpec, Insertion

PLACEMENTS = ("block", "stage", "between_stages")
Build = Callable[..., nn.Module]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The backbone that is being changed: the model, its name, and the input it is built for."""

    model: nn.Module
    name: str
    img_size: tuple[int, int]
    in_chans: int


def insert(
    target: Target,
    spec: AttentionSpec,
    build: Build,
    *,
    sites: str | Sequence[str] | None = None,
    insertion: Insertion = "plain",
    replace: bool = False,
) -> list[str]:
    """Put `spec`'s attention into the backbone and return the dotted paths where it lives.

    Args:
        build: `build(channels, **more)` makes one module.
        sites: a placement (`"block"`, `"stage"`, `"between_stages"`) or paths and patterns.
        insertion: `plain` f(x), `exact` f(x)/c with f started at c x, or `residual`.
        replace: put it in the place of the attention that the backbone already has.

    Raises:
        IncompatibleBackboneError: where it cannot go. UsageError: contradictory arguments.
    """
    _check(spec, insertion, replace)
    if spec.role == "replace_conv":
        return _replace_convolutions(target, spec, build, sites, insertion)
    if spec.role == "replace_mixer":
        return _replace_mixers(target, spec, build, sites, insertion)
    found = _refine_sites(target, spec, sites, replace)
    for site in found:
        _put(target, spec, site, _make(target, spec, build, site), insertion)
    return [site.path for site in found]


def _check(spec: AttentionSpec, insertion: Insertion, replace: bool) -> None:
    if spec.role == "none":
        raise IncompatibleBackboneError(
            f"{spec.name} ({spec.contract}) does not go into the blocks of a backbone",
            remedy=f'zoo.create_attention("{spec.name}")',
        )
    if insertion == "exact" and spec.identity != "exact":
        raise UsageError(
            f"{spec.name} cannot start as the identity by itself",
            where="insertion='exact'",
            remedy="insertion='residual'",
        )
    if replace and insertion != "plain":
        raise UsageError(
            "replacing attention that the backbone was trained with moves its logits",
            where=f"replace=True, insertion={insertion!r}",
            remedy="insertion='plain', or leave replace out to add to what is there",
        )


def _refine_sites(
    target: Target, spec: AttentionSpec, sites: str | Sequence[str] | None, replace: bool
) -> list[Site]:
    wanted = (sites,) if isinstance(sites, str) else sites
    placement = spec.placement
    if wanted is not None and len(wanted) == 1 and wanted[0] in PLACEMENTS:
        placement, wanted = wanted[0], None
    if replace:
        found = own_attention_sites(target.model)
    elif placement == "block":
        found = block_sites(target.model) or _stages(target)
    else:
        found = _stages(target)[: -1 if placement == "between_stages" else None]
    if not found:
        raise _no_place(target, spec, replace)
    if wanted is not None:
        return choose(_more(target, found, wanted), wanted, target.name, spec.name)
    found = _by_default(target, spec, found) if sites is None else found
    if spec.quadratic:
        return small_enough(found, target.img_size, target.name, spec.name)
    return found


def _by_default(target: Target, spec: AttentionSpec, found: list[Site]) -> list[Site]:
    """Where it goes among the places that there are, unless `sites=` says otherwise."""
    return in_last_stage(target.model, found) if spec.default_sites == "last_stage" else found


def _stages(target: Target) -> list[Site]:
    return stage_sites(target.model, target.img_size, target.in_chans)


def _more(target: Target, found: list[Site], wanted: Sequence[str]) -> list[Site]:
    """The candidates, and any module that `wanted` names by its full path."""
    known = {site.path for site in found}
    modules = dict(target.model.named_modules())
    exact = [path for path in wanted if path in modules and path not in known]
    covered = {p for p in exact if any(k.startswith(f"{p}.") for k in known)}
    named = [path for path in exact if path not in covered]
    if not named:
        return found
    return [*found, *named_sites(target.model, named, target.img_size, target.in_chans)]


def _make(target: Target, spec: AttentionSpec, build: Build, site: Site, **more: object):
    if spec.needs_size:
        more["feat_size"] = site.map_size(target.img_size)
    try:
        return build(site.channels, **more)
    except OptionError as error:
        raise IncompatibleBackboneError(
            f"{spec.name} cannot go to {site.path} of {target.name}: {error.what}",
            where=error.where,
            remedy=error.remedy or "other attention_options=, or other sites=",
        ) from error


def _put(
    target: Target, spec: AttentionSpec, site: Site, attention: nn.Module, form: Insertion
) -> None:
    gate = _start(spec, attention) if form == "exact" else 1.0
    if site.way == "swap":
        where = {"channels_last": site.channels_last}
        plain = form != "residual" and gate == 1.0 and not site.channels_last
        module = attention if plain else _form(form, attention, None, gate, where)
        attach.after(target.model.get_submodule(site.path), module)
        return
    base = _standing(target.model, site)
    where = {"channels_last": site.channels_last, "base_first": site.base_first}
    bare = base is None and form != "residual" and gate == 1.0 and not site.channels_last
    module = attention if bare else _form(form, attention, base, gate, where)
    attach.set_module(target.model, site.path, module)


def _start(spec: AttentionSpec, attention: nn.Module) -> float:
    """Start the attention as c x and return c (`init_identity` may return it)."""
    gate = attention.init_identity()  # pyright: ignore[reportCallIssue]
    return spec.identity_gate if gate is None else float(gate)


def _form(
    form: Insertion, attention: nn.Module, base: nn.Module | None, gate: float, where: dict
) -> nn.Module:
    if form == "residual":
        return ResidualAttended(attention, base, **where)
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


def _replace_convolutions(
    target: Target, spec: AttentionSpec, build: Build, sites: str | Sequence[str] | None,
    insertion: Insertion,
) -> list[str]:  # fmt: skip
    wanted = (sites,) if isinstance(sites, str) else sites
    wanted = None if wanted is not None and list(wanted) == ["block"] else wanted
    followers = {site.path: (site, names) for site, names in conv_sites(target.model)}
    if not followers:
        raise _no_place(target, spec, False)
    places = [site for site, _ in followers.values()]
    places = _by_default(target, spec, places) if sites is None else places
    chosen = choose(places, wanted, target.name, spec.name)
    if spec.quadratic and wanted is None:
        chosen = small_enough(chosen, target.img_size, target.name, spec.name)
    for site in chosen:
        conv = target.model.get_submodule(site.path)
        assert isinstance(conv, nn.Conv2d)
        attention = _make(target, spec, build, site, **_geometry(conv))
        if insertion == "residual":
            attach.beside(conv, AddedBranch(attention))
            continue
        attach.set_module(target.model, site.path, attention)
        for name in () if spec.keeps_norm else followers[site.path][1]:
            attach.set_module(target.model, name, nn.Identity())
    return [site.path for site in chosen]


def _replace_mixers(
    target: Target, spec: AttentionSpec, build: Build, sites: str | Sequence[str] | None,
    insertion: Insertion,
) -> list[str]:  # fmt: skip
    wanted = (sites,) if isinstance(sites, str) else sites
    wanted = None if wanted is not None and list(wanted) == ["block"] else wanted
    places, grid = mixers.mixer_sites(target.model), mixers.grid_of(target.model)
    if not places or grid is None:
        raise _no_place(target, spec, False)
    if spec.needs_size and grid.prefix:
        raise IncompatibleBackboneError(
            f"{spec.name} needs a grid of tokens, and {target.name} has {grid.prefix} more",
            remedy=f'create_model(..., class_token=False, global_pool="avg") if {target.name} '
            "takes these",
        )
    chosen = choose(places, wanted, target.name, spec.name)
    if spec.quadratic and wanted is None:
        chosen = small_enough(chosen, target.img_size, target.name, spec.name)
    for site in chosen:
        more = mixers.geometry(target.model.get_submodule(site.path))
        here = changed(site, size=grid.size)
        mixer = _make(target, spec, build, here, **more)
        mixers.put(target.model, site, mixer, insertion)
    return [site.path for site in chosen]


def _geometry(conv: nn.Conv2d) -> dict[str, int]:
    return {
        "in_channels": conv.in_channels,
        "stride": conv.stride[0],
        "dilation": conv.dilation[0],
        "groups": conv.groups,
    }


def _no_place(target: Target, spec: AttentionSpec, replace: bool) -> IncompatibleBackboneError:
    if replace:
        return IncompatibleBackboneError(
            f"{target.name} has no attention of its own to replace",
            remedy="leave replace out",
        )
    if spec.role == "replace_conv":
        return IncompatibleBackboneError(
            f"{spec.name} replaces a block's spatial convolution, and {target.name} has none "
            "that the zoo knows",
            remedy="a resnet, resnext, regnet, byobnet, efficientnet, convnext or densenet",
        )
    if spec.role == "replace_mixer":
        return IncompatibleBackboneError(
            f"{spec.name} replaces a transformer's softmax attention, and {target.name} has none "
            "that the zoo knows",
            remedy="a vision transformer, e.g. vit_small_patch16_224, deit_tiny_patch16_224",
        )
    return IncompatibleBackboneError(
        f"{target.name} has no feature map (B, C, H, W) for {spec.name} to refine",
        remedy="a backbone with feature maps, e.g. resnet50, convnext_tiny, swin_tiny_...",
    )
