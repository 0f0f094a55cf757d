"""A place in a backbone where an attention can live, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod
from typing import Literal

from torch import nn

from zoo.errors import IncompatibleBackboneError

Way = Literal["set", "swap"]
MAX_POSITIONS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One place.

    Attributes:
        path: dotted path under which the attention's module will be found.
        channels: C of the map there.
        way: `set` the attribute (a parameter-free module there is kept inside; in a Sequential it
            is a new child, run last), or `swap` the class of the module there for one that attends
            to its output.
        channels_last: the map is (B, H, W, C).
        base_first: what stood there runs before the attention (an activation), not after (a
            drop path).
        size: (H, W) of the map, for the input that the backbone is built for; None until a pass on
            fake tensors has told it.
    """

    path: str
    channels: int
    way: Way = "set"
    channels_last: bool = False
    base_first: bool = False
    size: tuple[int, int] | None = None


def choose(
    candidates: Sequence[Site], wanted: Sequence[str] | None, backbone: str, attention: str
) -> list[Site]:
    """The candidates that the patterns in `wanted` name, all of them for None.

    A pattern is a dotted path, a prefix of one (`layer3`), or has wildcards (`layer[34].*.se`).
    """
    if wanted is None:
        return list(candidates)
    chosen = [s for s in candidates if any(matches(s.path, pattern) for pattern in wanted)]
    unused = [p for p in wanted if not any(matches(s.path, p) for s in candidates)]
    if unused:
        paths = ", ".join(s.path for s in candidates)
        raise IncompatibleBackboneError(
            f"no place for {attention} in {backbone} matches {', '.join(map(repr, unused))}",
            where="sites",
            remedy=f"sites among: {paths or 'none'}",
        )
    return chosen


def small_enough(
    sites: Sequence[Site], img_size: tuple[int, int], backbone: str, attention: str
) -> list[Site]:
    """Leave out maps, of known size, on which a quadratic mechanism would be too costly."""
    kept = [s for s in sites if s.size is not None and prod(s.size) <= MAX_POSITIONS]
    if sites and not kept:
        raise IncompatibleBackboneError(
            f"every map of {backbone} at {img_size[0]}x{img_size[1]} has more than "
            f"{MAX_POSITIONS} positions, and the cost of {attention} grows with their square",
            remedy="name the places with sites=, or give a smaller img_size",
        )
    return kept


def in_last_stage(model: nn.Module, sites: Sequence[Site]) -> list[Site]:
    """The sites of the last stage that has any."""
    stage_of = _stage_index(model)
    stages = [stage_of(site.path) for site in sites]
    return [s for s, stage in zip(sites, stages, strict=True) if stage == max(stages)]


def _stage_index(model: nn.Module) -> Callable[[str], int]:
    """A function from a path to its stage: the first that does not end before that path."""
    order = {name: i for i, (name, _) in enumerate(model.named_modules())}
    ends: list[int] = []
    for info in stage_infos(model):
        module = info["module"]
        inside = (i for n, i in order.items() if n == module or n.startswith(f"{module}."))
        ends.append(max(inside, default=-1))

    def stage(path: str) -> int:
        while path and path not in order:
            path = path.rpartition(".")[0]
        here = order.get(path, 0)
        return next((i for i, end in enumerate(ends) if end >= here), len(ends))

    return stage


def stage_infos(model: nn.Module) -> Sequence[dict]:
    """timm's `feature_info`, a dict for each stage; empty if there is none."""
    info = getattr(model, "feature_info", None) or ()
    return getattr(info, "info", info)


def matches(path: str, pattern: str) -> bool:
    return path == pattern or path.startswith(f"{pattern}.") or fnmatchcase(path, pattern)
