"""Places for the nodes of a graph: rows from the input down, few crossings, short lines.

This is Sugiyama's scheme. Each node has a row; a line over several rows goes through a place in
each; nodes of a row are ordered by their neighbours, and then moved as near to these as their
widths allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .graph import Node

GAP = 18  # between the boxes of a row
ROUNDS = 12


@dataclass(slots=True, eq=False)
class Place:
    """Where a node is drawn, or where a long line passes (`node` is None).

    `x` is the middle in pixels; `above` and `below` are its neighbours in the next rows.
    """

    node: Node | None
    row: int
    width: float
    x: float = 0.0
    above: list[Place] = field(default_factory=list)
    below: list[Place] = field(default_factory=list)


def placed(nodes: Sequence[Node], widths: Sequence[float]) -> list[list[Place]]:
    """Rows of places for nodes that stand in an order in which they can be computed."""
    rows = _rows(nodes)
    places = {
        node: Place(node, rows[node], width) for node, width in zip(nodes, widths, strict=True)
    }
    grid: list[list[Place]] = [[] for _ in range(1 + max(rows.values()))]
    for node in nodes:
        grid[rows[node]].append(places[node])
    for node in nodes:
        for source in node.sources:
            _connect(places[source], places[node], grid)
    for i in range(ROUNDS):
        _order(grid, downwards=i % 2 == 0)
    for i in range(2 * ROUNDS):
        _shift(grid, downwards=i % 2 == 0)
    return grid


def _rows(nodes: Sequence[Node]) -> dict[Node, int]:
    """The row of each node: below all of its sources; parameters stand right above their use."""
    rows: dict[Node, int] = {}
    for node in nodes:
        rows[node] = max((rows[s] + 1 for s in node.sources), default=0)
    users: dict[Node, list[int]] = {}
    for node in nodes:
        for source in node.sources:
            users.setdefault(source, []).append(rows[node])
    for node in nodes:
        if not node.sources and node.kind != "input" and node in users:
            rows[node] = max(0, min(users[node]) - 1)
    return rows


def _connect(start: Place, end: Place, grid: list[list[Place]]) -> None:
    """Join two places, through one in each row between them."""
    for row in range(start.row + 1, end.row):
        bend = Place(None, row, 6)
        grid[row].append(bend)
        start.below.append(bend)
        bend.above.append(start)
        start = bend
    start.below.append(end)
    end.above.append(start)


def _order(grid: list[list[Place]], *, downwards: bool) -> None:
    for row in grid if downwards else reversed(grid):
        _number(grid)
        row.sort(key=lambda p: _middle(p.above if downwards else p.below, p.x))
    _number(grid)


def _number(grid: list[list[Place]]) -> None:
    for row in grid:
        for i, place in enumerate(row):
            place.x = (i + 0.5) / len(row)


def _middle(neighbours: Sequence[Place], otherwise: float) -> float:
    return sum(n.x for n in neighbours) / len(neighbours) if neighbours else otherwise


def _shift(grid: list[list[Place]], *, downwards: bool) -> None:
    for row in grid if downwards else reversed(grid):
        wanted = [_middle([*p.above, *p.below], p.x) for p in row]
        for place, x in zip(row, _apart(row, wanted), strict=True):
            place.x = x


def _apart(row: Sequence[Place], wanted: Sequence[float]) -> list[float]:
    """The places nearest to the wanted ones, in squares, at which no boxes overlap."""
    offsets = [0.0]
    for left, right in zip(row, row[1:], strict=False):
        offsets.append(offsets[-1] + (left.width + right.width) / 2 + GAP)
    pools: list[list[float]] = []  # means and sizes of neighbours that touch
    for x, offset in zip(wanted, offsets, strict=True):
        pools.append([x - offset, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (b, m), (a, n) = pools.pop(), pools.pop()
            pools.append([(a * n + b * m) / (n + m), n + m])
    level = [mean for mean, size in pools for _ in range(int(size))]
    return [x + offset for x, offset in zip(level, offsets, strict=True)]
