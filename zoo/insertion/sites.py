"""A place in a backbone where an attention can live, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
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
        stride: input pixels per position, for the map's size.
        way: `set` the attribute (a parameter-free module there is kept inside; in a Sequential it
            is a new child, run last), or `swap` the class of the module there for one that attends
            to its output.
        channels_last: the map is (B, H, W, C).
        base_first: what stood there runs before the attention (an activation), not after (a
            drop path).
        size: (H, W) if it is known better than from the stride.
    """

    path: str
    channels: int
    stride: int
    way: Way = "set"
    channels_last: bool = False
    base_first: bool = False
    size: tuple[int, int] | None = None

    def map_size(self, img_size: tuple[int, int]) -> tuple[int, int]:
        """(H, W) of the map for an input of `img_size`."""
        if self.size is not None:
            return self.size
        return -(-img_size[0] // self.stride), -(-img_size[1] // self.stride)


def choose(
    candidates: Sequence[Site], wanted: Sequence[str] | None, backbone: str, attention: str
) -> list[Site]:
    """The candidates that the patterns in `wanted` name, all of them for None.

    A pattern is a dotted path, a prefix of one (`layer3`), or has wildcards (`layer[34].*.se`).
    """
    if wanted is None:
        return list(candidates)
    chosen = [s for s in candidates if any(_matches(s.path, pattern) for pattern in wanted)]
    unused = [p for p in wanted if not any(_matches(s.path, p) for s in candidates)]
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
    """Leave out maps on which a quadratic mechanism would be too costly."""
    kept = [s for s in sites if _positions(s.map_size(img_size)) <= MAX_POSITIONS]
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


def stride_of(model: nn.Module) -> Callable[[str], int]:
    """A function from a path to the stride of the map there: that of the stage it belongs to."""
    reductions = [int(info["reduction"]) for info in _feature_info(model)] or [32]
    stage_of = _stage_index(model)
    return lambda path: reductions[min(stage_of(path), len(reductions) - 1)]


def _stage_index(model: nn.Module) -> Callable[[str], int]:
    """A function from a path to its stage: the first that does not end before that path."""
    order = {name: i for i, (name, _) in enumerate(model.named_modules())}
    ends: list[int] = []
    for info in _feature_info(model):
        module = info["module"]
        inside = (i for n, i in order.items() if n == module or n.startswith(f"{module}."))
        ends.append(max(inside, default=-1))

    def stage(path: str) -> int:
        while path and path not in order:
            path = path.rpartition(".")[0]
        here = order.get(path, 0)
        return next((i for i, end in enumerate(ends) if end >= here), len(ends))

    return stage


def _feature_info(model: nn.Module) -> Sequence[dict]:
    info = getattr(model, "feature_info", None) or ()
    return getattr(info, "info", info)


def _matches(path: str, pattern: str) -> bool:
    return path == pattern or path.startswith(f"{pattern}.") or fnmatchcase(path, pattern)


def _positions(size: tuple[int, int]) -> int:
    return size[0] * size[1]
