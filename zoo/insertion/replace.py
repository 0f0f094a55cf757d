"""Attention in the place of a block's convolution, or of a transformer's softmax attention."""

from __future__ import annotations

import logging
from dataclasses import replace as changed

from torch import nn

from zoo.errors import IncompatibleBackboneError
from zoo.insertion import attach, mixers
from zoo.insertion.families import conv_sites
from zoo.insertion.forms import AddedBranch
from zoo.insertion.request import Request
from zoo.insertion.sites import Site

log = logging.getLogger("zoo")


def replace_convolutions(request: Request) -> list[str]:
    """Put one module in the place of each chosen convolution, or beside it (`residual`)."""
    model = request.target.model
    followers = {site.path: (site, names) for site, names in conv_sites(model)}
    if not followers:
        raise request.no_place()
    chosen = _choose(request, [site for site, _ in followers.values()])
    made = _make(request, chosen)
    for site, attention in made:
        conv = model.get_submodule(site.path)
        if request.insertion == "residual":
            attach.beside(conv, AddedBranch(attention))
            continue
        attach.set_module(model, site.path, attention)
        for name in () if request.spec.insertion.keeps_norm else followers[site.path][1]:
            attach.set_module(model, name, nn.Identity())
    return [site.path for site, _ in made]


def _make(request: Request, sites: list[Site]) -> list[tuple[Site, nn.Module]]:
    """The modules; by default, without grouped convolutions whose groups the attention refuses."""
    made: list[tuple[Site, nn.Module]] = []
    refused: list[IncompatibleBackboneError] = []
    for site in sites:
        conv = request.target.model.get_submodule(site.path)
        assert isinstance(conv, nn.Conv2d)
        try:
            made.append((site, request.make(site, **_geometry(conv))))
        except IncompatibleBackboneError as error:
            if conv.groups == 1 or request.sites is not None:
                raise
            refused.append(error)
    if refused and not made:
        raise refused[0]
    if refused:
        log.warning("left out %d of %d places: %s", len(refused), len(sites), refused[0].what)
    return made


def replace_mixers(request: Request) -> list[str]:
    """Put one module in the place of each chosen softmax attention, or beside it (`residual`)."""
    target = request.target
    places, grid = mixers.mixer_sites(target.model), mixers.grid_of(target.model)
    if not places or grid is None:
        raise request.no_place()
    if mixers.needs_grid(request.spec):
        mixers.keep_grid(target.model, request.spec.name, grid)
    chosen = _choose(request, places)
    for site in chosen:
        more = mixers.geometry(target.model.get_submodule(site.path))
        more["class_token"] = grid.prefix == 1
        mixer = request.make(changed(site, size=grid.size), **more)
        mixer = mixers.Folded(mixer, grid.size) if mixers.folds(request.spec) else mixer
        left_out = _left_out(request, mixer, grid.prefix)
        mixers.put(target.model, site, mixer, request.insertion, left_out)
    return [site.path for site in chosen]


def _left_out(request: Request, mixer: nn.Module, prefix: int) -> int:
    """How many tokens before the grid the mixer does not take: it can only stand beside them.

    Raises:
        IncompatibleBackboneError: it is to take the attention's place, so that they would see none.
    """
    if not mixers.needs_grid(request.spec):
        return 0
    more = prefix - getattr(mixer, "num_prefix_tokens", 0)
    if more and request.insertion != "residual":
        name = request.target.name
        raise IncompatibleBackboneError(
            f"{request.spec.name} needs a grid of tokens, and {name} has {more} more",
            remedy=f"insertion='residual', or class_token=False and global_pool=\"avg\" if {name} "
            "takes these",
        )
    return more


def _choose(request: Request, places: list[Site]) -> list[Site]:
    """Those that are named, whatever they cost; else the attention's own choice."""
    named = request.sites not in (None, ("block",))
    chosen = request.named(places) if named else request.by_default(places)
    if request.asks_for_sizes:
        chosen = request.target.sized(chosen, of="takes")
    return chosen if named else request.affordable(chosen)


def _geometry(conv: nn.Conv2d) -> dict[str, int]:
    return {
        "in_channels": conv.in_channels,
        "stride": conv.stride[0],
        "dilation": conv.dilation[0],
        "groups": conv.groups,
    }
