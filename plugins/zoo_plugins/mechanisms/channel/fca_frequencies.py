"""Frequencies (u, v) on a 7 x 7 grid, in the order of FcaNet's code (arXiv 2012.11879). No torch.

`top` and `bot` rank single frequencies by the accuracy of networks trained with each, best and
worst first; `low` goes by distance from (0, 0).
"""

from __future__ import annotations

from typing import Any, Literal

GRID = 7

Ranking = Literal[
    "top1", "top2", "top4", "top8", "top16", "top32",
    "low1", "low2", "low4", "low8", "low16", "low32",
    "bot1", "bot2", "bot4", "bot8", "bot16", "bot32",
]  # fmt: skip

# fmt: off
RANKINGS: dict[str, tuple[tuple[int, int], ...]] = {
    "top": (
        (0, 0), (0, 1), (6, 0), (0, 5), (0, 2), (1, 0), (1, 2), (4, 0),
        (5, 0), (1, 6), (3, 0), (0, 4), (0, 6), (0, 3), (3, 5), (2, 2),
        (4, 6), (6, 3), (3, 3), (5, 3), (5, 5), (2, 1), (6, 1), (5, 2),
        (5, 4), (3, 2), (3, 1), (4, 1), (2, 3), (2, 0), (6, 5), (1, 3),
    ),
    "low": (
        (0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (2, 1), (1, 2),
        (2, 2), (0, 3), (3, 0), (4, 0), (0, 4), (1, 3), (3, 1), (0, 5),
        (1, 4), (2, 3), (3, 2), (4, 1), (5, 0), (0, 6), (1, 5), (2, 4),
        (3, 3), (4, 2), (5, 1), (6, 0), (1, 6), (2, 5), (3, 4), (4, 3),
    ),
    "bot": (
        (6, 6), (1, 4), (3, 4), (3, 6), (2, 6), (4, 3), (1, 1), (2, 4),
        (4, 4), (4, 5), (5, 6), (1, 5), (4, 2), (6, 2), (2, 5), (5, 1),
        (6, 4), (1, 3), (6, 5), (2, 0), (2, 3), (4, 1), (3, 1), (3, 2),
        (5, 4), (5, 2), (6, 1), (2, 1), (5, 5), (5, 3), (3, 3), (6, 3),
    ),
}
# fmt: on


def default_size(feat_size: Any) -> tuple[int, int]:
    """Of the basis images, for a map of this size: at least the grid's."""
    rows, columns = (feat_size, feat_size) if isinstance(feat_size, int) else feat_size or (0, 0)
    return max(rows, GRID), max(columns, GRID)


def ranked(name: str, size: Any) -> list[tuple[int, int]]:
    """The frequencies of a ranking, `top16`, on basis images of this size."""
    rows, columns = (size, size) if isinstance(size, int) else size
    ranking = RANKINGS[name[:3]][: int(name[3:])]
    return [(u * (rows // GRID), v * (columns // GRID)) for u, v in ranking]
