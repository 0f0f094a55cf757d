"""The maps of attentions that were put into a model: their gains at each place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isqrt
from typing import Any

import numpy as np
from torch import Tensor, nn

from zoo.errors import UsageError
from zoo.explain.maps.sites import Gain, Inserted, inserted, named
from zoo.explain.passes import Watched
from zoo.explain.photograph import Frame
from zoo.explain.record import Map, number
from zoo.hosts import places as host_places
from zoo.runtime.model_record import record_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The places that are looked at, and the paths that a user asked for (None: the default)."""

    inserted: list[Inserted]
    paths: list[str] | None


def places(model: nn.Module, wanted: Sequence[str] | None) -> Chosen:
    """The attentions in the model, and modules that a user names beside them.

    Raises:
        UsageError: a name means nothing, with the closest paths.
    """
    there = inserted(model)
    if wanted is None:
        return Chosen(inserted=there, paths=None)
    if list(wanted) == ["**"]:
        return Chosen(inserted=there, paths=[each.path for each in there])
    known = {each.path: each for each in there}
    paths: list[str] = []
    for pattern in wanted:
        paths.extend([pattern] if pattern in known else _matching(model, pattern, list(known)))
    others = [named(p, model.get_submodule(p)) for p in paths if p not in known]
    return Chosen(inserted=[*there, *others], paths=paths)


def _matching(model: nn.Module, pattern: str, known: list[str]) -> list[str]:
    """Of what a pattern matches, the attentions if there are any among them."""
    try:
        found = host_places.named(model, pattern)
    except UsageError as error:
        there = f"attention is at {', '.join(known[:4])}{', ...' if known[4:] else ''}"
        raise UsageError(
            error.what, where="sites", remedy=there if known else "a path of the model"
        ) from error
    return [path for path in found if path in known] or found


def gain_maps(
    model: nn.Module, seen: Watched, chosen: Chosen, frame: Frame
) -> tuple[list[Map], list[str]]:
    """A map for each place, in the order of the model, and remarks on those that have none."""
    maps: list[Map] = []
    lost: list[str] = []
    for each in chosen.inserted:
        gain = seen.gains.get(each.path)
        cells = cells_of(gain.values, seen.size, model) if gain is not None else None
        if gain is None or cells is None:
            lost.append(each.path)
        elif not _has_rows(each, seen) or each.role != "instead":
            maps.append(_map(model, each, gain, cells, frame))
    remarks = [f"nothing is drawn of {few(lost)}: no map goes in and comes out"] if lost else []
    drawn, said = _choose(maps, chosen.paths)
    return drawn, [*remarks, *said]


def cells_of(values: Tensor, size: tuple[int, int], model: nn.Module) -> Tensor | None:
    """(h, w) as it is; tokens (N,) without those before the patches, as the grid that they are."""
    if values.ndim == 2:
        return values
    grid = grid_of(len(values), size, model)
    return values[grid[0] :].unflatten(0, grid[1]) if grid is not None else None


def grid_of(
    tokens: int, size: tuple[int, int], model: nn.Module
) -> tuple[int, tuple[int, int]] | None:
    """How many tokens come before the patches, and (rows, columns) of these.

    A model that states how many may have blocks before it joins them to the patches, as CaiT does.
    """
    stated = getattr(model, "num_prefix_tokens", None)
    for prefix in (stated, 0) if isinstance(stated, int) else (0, 1):
        patches = tokens - prefix
        rows = isqrt(patches * size[0] // size[1]) if patches > 0 else 0
        if rows and patches % rows == 0 and rows * size[1] == patches // rows * size[0]:
            return prefix, (rows, patches // rows)
    return None


def _has_rows(each: Inserted, seen: Watched) -> bool:
    """Whether the attention's own softmax is drawn, which says more than its strength."""
    return any(p == each.path or p.startswith(f"{each.path}.") for p in seen.caught.matrices)


def _map(model: nn.Module, each: Inserted, gain: Gain, cells: Tensor, frame: Frame) -> Map:
    return Map(
        site=each.path, kind="strength" if each.role == "instead" else "gain",
        raw=cells[None].numpy().astype(np.float32), planes=(each.name or "module",), frame=frame,
        notes=tuple(_notes(model, each, gain)),
    )  # fmt: skip


def _notes(model: nn.Module, each: Inserted, gain: Gain) -> list[str]:
    """What the gain is of, and whether it is the start of something untrained."""
    notes = [each.name + _ROLES[each.role]] if each.name else []
    if gain.alpha is not None:
        notes.append(f"alpha {number(gain.alpha)}")
    if gain.empty:
        notes.append("its input is zero everywhere")
    elif gain.same:
        notes.append("identity start: changes nothing")
    elif gain.factor is not None:
        notes.append(f"all positions and channels times {number(gain.factor)}")
    elif gain.by_channel is not None and len(gain.by_channel):
        low, high = gain.by_channel.aminmax()
        notes.append(f"gates channels: each times {number(float(low))} to {number(float(high))}, "
                     "everywhere alike")  # fmt: skip
    record = record_of(model)
    if each.name and record is not None and (not record.weights or "attention" in record.untrained):
        notes.append("untrained")
    return notes


_ROLES = {
    "refines": "", "beside": ", beside what the model has there",
    "instead": ", in place of what the model had there",
}  # fmt: skip


def _choose(maps: list[Map], paths: Sequence[str] | None) -> tuple[list[Map], list[str]]:
    """What is drawn: the last of each size, or what was asked for. Of several that have one colour
    and say the same, one is enough.
    """
    last = {each.raw.shape[1:]: each.site for each in maps}
    wanted = set(paths) if paths is not None else set(last.values())
    same: dict[tuple[Any, ...], list[str]] = {}
    for each in maps if paths is None else ():
        if each.constant:
            same.setdefault((each.kind, each.said(), each.notes), []).append(each.site)
    spare = {site for sites in same.values() for site in sites[:-1]}
    wanted |= {sites[-1] for sites in same.values() if wanted & set(sites)}
    marked = [replace(each, drawn=int(each.site in wanted - spare)) for each in maps]
    remarks = [f"not drawn, since they are the same as {sites[-1]}: {few(sites[:-1])}"
               for sites in same.values() if len(sites) > 1]  # fmt: skip
    return sorted(marked, key=lambda each: not each.drawn), remarks


def few(paths: Sequence[str]) -> str:
    """The first three paths, and how many more there are."""
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(paths[:3]) + more
