"""Places by the output of modules: after each stage of `feature_info`, or where a user names one.

A pass on fake tensors tells channels, size and layout. The stem gets no attention: it is what comes
before the blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from torch import nn

from zoo.errors import IncompatibleBackboneError
from zoo.insertion import layers
from zoo.insertion.probe import Call
from zoo.insertion.request import Target
from zoo.insertion.sites import Site, stage_infos

Map = tuple[int, ...]


def stage_sites(target: Target, _wanted: Sequence[str] = ()) -> list[Site]:
    """One site after each stage whose output is a map; empty if the model has no such stage."""
    infos = _without_stem(target.model)
    if not infos:
        return []
    calls = target.run()
    maps = _maps(calls)
    found: list[Site] = []
    for path, channels in ((info["module"], info["num_chs"]) for info in infos):
        shape, end = maps.get(path), _end(target.model, calls, path)
        if shape is not None and channels in (shape[1], shape[3]) and end in maps:
            first = shape[1] == channels and not _gives_channels_last(target.model)
            last = not first and shape[3] == channels
            found.append(_after(target.model, end, maps[end], last))
    return found


def named_sites(target: Target, wanted: Sequence[str]) -> list[Site]:
    """Sites after any modules that are named by their full paths and give a map."""
    modules = dict(target.model.named_modules())
    paths = [path for path in wanted if path in modules]
    if not paths:
        return []
    for path in paths:
        if layers.is_norm(modules[path]):
            raise _on_a_norm(target, path, modules[path])
    maps = _maps(target.run())
    return [_named(target.model, path, maps[path]) for path in paths if path in maps]


def _maps(calls: Sequence[Call]) -> dict[str, Map]:
    """What each module gives, where that is one map; blocks that give lists are no places."""
    given = ((c.path, c.gives.shape) for c in calls if c.gives and c.alone)
    return {path: shape for path, shape in given if len(shape) == 4}


def _named(model: nn.Module, path: str, shape: Map) -> Site:
    module = model.get_submodule(path)
    last = _gives_channels_last(model) and not isinstance(module, nn.Conv2d)
    if layers.is_activation(module):
        return _site(path, shape, last, way="set", base_first=True)
    return _site(path, shape, last, way="swap")


def _end(model: nn.Module, calls: Sequence[Call], path: str) -> str | None:
    """The module that a stage ends in: not a layer, but what is before it, if there is any."""
    module = model.get_submodule(path)
    if layers.is_layer(module) and layers.has_parameters(module):
        return layers.before(model, calls, path)
    return path


def _after(model: nn.Module, path: str, shape: Map, last: bool) -> Site:
    """The place after a module: in it, where it runs its children, or around it."""
    module = model.get_submodule(path)
    if layers.runs_its_children(module):
        return _site(f"{path}.attn", shape, last, way="set", base_first=True)
    way = "swap" if layers.has_parameters(module) else "set"
    return _site(path, shape, last, way=way, base_first=True)


def _site(path: str, shape: Map, channels_last: bool, **how: Any) -> Site:
    channels, size = (shape[3], shape[1:3]) if channels_last else (shape[1], shape[2:])
    return Site(
        path=path, channels=channels, channels_last=channels_last, size=(size[0], size[1]), **how
    )


def _gives_channels_last(model: nn.Module) -> bool:
    return getattr(model, "output_fmt", "NCHW") == "NHWC"


def _without_stem(model: nn.Module) -> list[dict[str, Any]]:
    """The stages of `feature_info` that are modules, without those of the stem.

    The stem is what comes first and consists of mere layers, or says so by its name.
    """
    modules = dict(model.named_modules())
    infos = [info for info in stage_infos(model) if info["module"] in modules]
    chains = takewhile(lambda info: layers.is_chain(modules[info["module"]]), infos)
    stem = [info["module"] for info in chains]
    stem += [info["module"] for info in infos[:1] if layers.is_leaf(modules[info["module"]])]
    return [i for i in infos if i["module"] not in stem and not _is_stem(i["module"])]


def _is_stem(path: str) -> bool:
    return "stem" in path or "patch_embed" in path


def _on_a_norm(target: Target, path: str, norm: nn.Module) -> IncompatibleBackboneError:
    return IncompatibleBackboneError(
        f"{path} of {target.name} is a norm ({type(norm).__name__}): tools that freeze or "
        "synchronise norms build a new one in its place, and the attention would be lost",
        where="sites",
        remedy="name the convolution before it, the activation after it, or the block around it",
    )
