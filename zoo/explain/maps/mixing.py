"""The maps of softmax attentions: where the class token looks, or where all positions look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from zoo.explain.maps.refining import Chosen, few, grid_of
from zoo.explain.maps.rows import Matrix, rollout
from zoo.explain.passes import Watched
from zoo.explain.photograph import Frame
from zoo.explain.record import Map


def attention_maps(
    model: nn.Module, seen: Watched, chosen: Chosen, frame: Frame, heads: int
) -> tuple[list[Map], list[str]]:
    """A map for each layer, the last one drawn, and the rollout through all of them; and a remark
    on layers whose positions are no grid.

    Args:
        heads: how many heads are drawn beside their mean.
    """
    maps: list[Map] = []
    lost: list[str] = []
    for path, matrix in seen.caught.matrices.items():
        grid = grid_of(len(matrix.whole), seen.size, model)
        if grid is not None:
            maps.append(_map(model, path, matrix, grid, frame))
        else:
            lost.append(path)
    wanted = _wanted(maps, chosen.paths)
    shown = [
        replace(each, drawn=min(len(each.raw), 1 + heads) if each.site in wanted else 0)
        for each in maps
    ]
    through = _rollout(model, seen, frame) if chosen.paths is None else []
    size = " x ".join(map(str, seen.size))
    said = f"nothing is drawn of {few(lost)}: the positions are no grid over {size} pixels"
    return sorted([*shown, *through], key=lambda each: not each.drawn), [said] if lost else []


def _map(
    model: nn.Module, path: str, matrix: Matrix, grid: tuple[int, tuple[int, int]], frame: Frame
) -> Map:
    token = reads_class_token(model, grid[0])
    rows = (matrix.first if token else matrix.mean) * len(matrix.whole)
    by_head = rows[:, grid[0] :].unflatten(1, grid[1])
    planes = ("mean of heads", *(f"head {h}" for h in range(len(by_head))))
    raw = torch.cat((by_head.mean(0, keepdim=True), by_head)) if len(by_head) > 1 else by_head
    return Map(
        site=path, kind="attention", raw=raw.numpy().astype(np.float32),
        planes=planes if len(raw) > 1 else ("the only head",), frame=frame,
        notes=("row of the class token" if token else "mean of all rows",),
    )  # fmt: skip


def reads_class_token(model: nn.Module, prefix: int) -> bool:
    """Whether the first token is a class token that the head reads, so that its row matters."""
    if not prefix or getattr(model, "has_class_token", True) is False:
        return False
    return getattr(model, "global_pool", "token") in ("token", "tok", "")


def _rollout(model: nn.Module, seen: Watched, frame: Frame) -> list[Map]:
    matrices = list(seen.caught.matrices.values())
    through = rollout(seen.caught)
    grid = grid_of(len(matrices[0].whole), seen.size, model) if matrices else None
    if through is None or grid is None:
        return []
    token = reads_class_token(model, grid[0])
    row: Tensor = (through[0] if token else through.mean(0)) * len(through)
    return [
        Map(
            site=f"all {len(matrices)} layers", kind="rollout", planes=("rollout",), frame=frame,
            raw=row[grid[0] :].unflatten(0, grid[1])[None].numpy().astype(np.float32),
            notes=("from the class token" if token else "mean of all rows",),
        )
    ]  # fmt: skip


def _wanted(maps: Sequence[Map], paths: Sequence[str] | None) -> set[str]:
    """The last layer of each size; of paths that were asked for, what lies at or in them."""
    if paths is None:
        return set({each.raw.shape[1:]: each.site for each in maps}.values())
    return {
        each.site
        for each in maps
        if any(each.site == p or each.site.startswith(f"{p}.") for p in paths)
    }
