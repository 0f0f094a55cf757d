"""The drawing itself: an SVG whose colours are those of the page, in the light and in the dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .graph import Node
from .layout import Place, placed

STEP, EDGE = 62, 14  # from row to row, and around the drawing
LETTER, SMALL = 7.0, 5.9  # pixels of a letter


def draw(nodes: Sequence[Node], title: str) -> str:
    """The SVG of a graph."""
    grid = placed(nodes, [_width(node) for node in nodes])
    places = [place for row in grid for place in row]
    left = min(p.x - p.width / 2 for p in places) - EDGE
    width = max(p.x + p.width / 2 for p in places) - left + EDGE
    height = len(grid) * STEP + EDGE
    for place in places:
        place.x -= left
    lines = "".join(_lines(place) for place in places)
    boxes = "".join(_box(place, place.node) for place in places if place.node)
    return (
        f'<svg class="flow" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-label="{escape(title)}">{lines}{boxes}</svg>'
    )


def _width(node: Node) -> float:
    lower = max(len(node.detail), len(node.shape) if not node.detail else 0)
    both = len(node.detail) + len(node.shape) + 3 if node.detail else lower
    return max(54, LETTER * len(node.label) + 18, SMALL * both + 18)


def _top(place: Place) -> float:
    return place.row * STEP + EDGE


def _height(node: Node) -> int:
    return 38 if node.shape or node.detail else 24


def _box(place: Place, node: Node) -> str:
    x, y, height = place.x, _top(place), _height(node)
    round_ = height / 2 if node.kind in ("input", "output") else 5
    lower = " · ".join(filter(None, (node.detail, node.shape)))
    texts = f'<text x="{x:.0f}" y="{y + 16:.0f}">{escape(node.label)}</text>'
    if lower:
        texts += f'<text class="small" x="{x:.0f}" y="{y + 30:.0f}">{escape(lower)}</text>'
    return (
        f'<g class="{node.kind}"><rect x="{x - place.width / 2:.0f}" y="{y:.0f}" '
        f'width="{place.width:.0f}" height="{height}" rx="{round_:g}"/>{texts}</g>'
    )


def _lines(place: Place) -> str:
    """The lines that end at a place; those into a box end in an arrow."""
    parts: list[str] = []
    spread = min(16.0, place.width / (len(place.above) + 1))
    for i, start in enumerate(sorted(place.above, key=lambda p: p.x)):
        end_x = place.x + (i - (len(place.above) - 1) / 2) * spread
        start_y = _top(start) + (_height(start.node) if start.node else STEP / 2)
        end_y = _top(place) + (0 if place.node else STEP / 2)
        bend = (end_y - start_y) / 2
        path = (
            f"M{start.x:.0f} {start_y:.0f}C{start.x:.0f} {start_y + bend:.0f} {end_x:.0f} "
            f"{end_y - bend:.0f} {end_x:.0f} {end_y:.0f}"
        )
        parts.append(f'<path class="line" d="{path}"/>')
        if place.node:
            tip = f"M{end_x - 3.5:.1f} {end_y - 7:.0f}L{end_x:.1f} {end_y:.0f}"
            parts.append(f'<path class="tip" d="{tip}L{end_x + 3.5:.1f} {end_y - 7:.0f}Z"/>')
    return "".join(parts)
