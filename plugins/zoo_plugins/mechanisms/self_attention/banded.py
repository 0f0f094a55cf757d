"""Attention of each position of a map to a window of it, without a copy of each window.

The queries are cut into tiles. A tile meets once all keys that any of its queries sees, and what
the others see is masked: with tiles of t x t and windows of k x k, (t + k - 1)^2 keys for t^2
queries, where copies of the windows would be k^2 for each. Tiles are the heads of one fused softmax
attention. What lies in a tile is plain numbers, made for each side of the map: `cut`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

Numbers = tuple[int, ...]
T = TypeVar("T")


def remembered(function: Callable[..., T]) -> Callable[..., T]:
    """The function of whole numbers, with its last results kept. `torch.compile`, which would warn
    of a cache, traces the function itself."""
    cached = lru_cache(maxsize=64)(function)

    @wraps(function)
    def call(*numbers: int) -> T:
        return function(*numbers) if torch.compiler.is_compiling() else cached(*numbers)

    return call


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Positions along one side whose windows lie among the same keys.

    Attributes:
        queries: their places on the side.
        keys: the places that keys are read from, in the order of the windows.
        starts: for each query, where in `keys` its window begins; never falling.
    """

    queries: Sequence[int]
    keys: Sequence[int]
    starts: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of the map, cut into T tiles of t queries, that meet R keys each.

    Attributes:
        queries: (T, t), their places; a tile that is not full repeats its last.
        keys: (T, R), their places.
        seen: (T, t, R), whether the key is in the window of the query.
        moves: (T, t, R), key minus query, counted along their line.
        back: where each query is among all T t, in the order of their places.
    """

    queries: tuple[Numbers, ...]
    keys: tuple[Numbers, ...]
    seen: tuple[tuple[tuple[bool, ...], ...], ...]
    moves: tuple[tuple[Numbers, ...], ...]
    back: Numbers


def cut(lines: Sequence[Line], window: int) -> Side:
    """One side of the map in tiles; the places in `lines` are all of the side, each once."""
    tiles = [(line, group) for line in lines for group in _groups(len(line.queries), window)]
    span = max(line.starts[group[-1]] - line.starts[group[0]] + window for line, group in tiles)
    full = max(len(group) for _, group in tiles)
    where: dict[int, int] = {}
    parts: list[tuple[Numbers, Numbers, tuple[tuple[bool, ...], ...], tuple[Numbers, ...]]] = []
    for number, (line, group) in enumerate(tiles):
        where |= {line.queries[i]: number * full + n for n, i in enumerate(group)}
        group = (*group, *group[-1:] * (full - len(group)))
        reach = range(line.starts[group[0]], line.starts[group[0]] + span)
        parts.append((
            tuple(line.queries[i] for i in group),
            tuple(line.keys[min(j, len(line.keys) - 1)] for j in reach),
            tuple(tuple(0 <= j - line.starts[i] < window for j in reach) for i in group),
            tuple(tuple(j - i for j in reach) for i in group),
        ))  # fmt: skip
    queries, keys, seen, moves = zip(*parts, strict=True)
    back = tuple(where[place] for place in sorted(where))
    return Side(queries=queries, keys=keys, seen=seen, moves=moves, back=back)


def _groups(count: int, window: int) -> list[Numbers]:
    """The numbers of `count` queries in tiles of nearly the same size, about that of a window."""
    tiles = -(-count // max(4, window))
    size = -(-count // tiles)
    return [tuple(range(i, min(i + size, count))) for i in range(0, count, size)]


def attend_windows(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    sides: tuple[Side, Side],
    widths: tuple[int, int],
    *,
    bias: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """The softmax attention of each query to its window; maps are flattened row by row.

    Args:
        q, k, v: (B, heads, N, d), N = H W of the map of queries, and of that of keys.
        sides: rows and columns.
        widths: W of the map of queries, and of that of keys.
        bias: (heads, 2k - 1, 2k - 1), added to the logits by the move from the query to the key.
        scale: of q k, d^-1/2 unless given.

    Returns:
        (B, heads, N', d), N' the number of queries.
    """
    rows, columns = sides
    heads, tiles = q.shape[1], len(rows.queries) * len(columns.queries)
    at = _places(rows.queries, columns.queries, widths[0], q.device)
    of = _places(rows.keys, columns.keys, widths[1], q.device)
    q, k, v = (
        t.index_select(2, places).unflatten(2, (tiles, -1)).flatten(1, 2)
        for t, places in ((q, at), (k, of), (v, of))
    )
    mask = _mask(sides, heads, bias, q)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
    return y.unflatten(1, (heads, tiles)).flatten(2, 3).index_select(2, _back(sides, q.device))


def _places(
    rows: tuple[Numbers, ...], columns: tuple[Numbers, ...], width: int, device: torch.device
) -> Tensor:
    """Places in the flattened map: tile by tile, row by row in each."""
    down, across = (torch.tensor(side, device=device) for side in (rows, columns))
    return (down[:, None, :, None] * width + across[None, :, None, :]).flatten()


def _back(sides: tuple[Side, Side], device: torch.device) -> Tensor:
    """Where each query is among those of all tiles."""
    rows, columns = sides
    t, u = len(rows.queries[0]), len(columns.queries[0])
    down, across = (torch.tensor(side.back, device=device) for side in sides)
    down, across = down[:, None], across[None]
    tile = down // t * len(columns.queries) + across // u
    return ((tile * t + down % t) * u + across % u).flatten()


def _mask(sides: tuple[Side, Side], heads: int, bias: Tensor | None, q: Tensor) -> Tensor:
    """Added to the logits, (1, heads tiles, t u, R S): the bias, -inf where a key is not seen."""
    down, across = (torch.tensor(side.seen, device=q.device) for side in sides)
    seen = down[:, None, :, None, :, None] & across[None, :, None, :, None, :]
    if bias is None:
        shape = (heads, *seen.shape)
        mask = q.new_zeros(seen.shape).masked_fill(~seen, -torch.inf).expand(shape)
    else:
        middle = bias.shape[1] // 2
        down, across = (torch.tensor(side.moves, device=q.device) + middle for side in sides)
        down, across = (t.clamp(0, 2 * middle) for t in (down, across))
        mask = bias[:, down[:, None, :, None, :, None], across[None, :, None, :, None, :]]
        mask = mask.to(q.dtype).masked_fill(~seen, -torch.inf)
    return mask.flatten(5, 6).flatten(3, 4).flatten(0, 2)[None]
