"""A picture for the card: how a run went, from the `curve.csv` beside its weights."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

AXES = ("epoch", "step", "seconds", "lr")


def curve_picture(curve: Path | None) -> dict[str, bytes]:
    """`{"picture.png": ...}`, or nothing if there is no curve, fewer than two rows, or no
    matplotlib.
    """
    rows = _read(curve) if curve is not None and curve.is_file() else []
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in AXES))[:4]
    if len(rows) < 2 or not columns:
        return {}
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return {}
    figure = Figure(figsize=(3.2 * len(columns), 2.6), layout="constrained")
    panels = figure.subplots(1, len(columns), squeeze=False)[0]
    for axes, column in zip(panels, columns, strict=True):
        points = [(row.get("epoch", i), row[column]) for i, row in enumerate(rows) if column in row]
        axes.plot(*zip(*points, strict=True))
        axes.set(xlabel="epoch", title=column)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    return {"picture.png": image.getvalue()}


def _read(path: Path) -> list[dict[str, float]]:
    """Rows of numbers; empty cells are left out, and a file that is not one has no rows."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [_numbers(row.items()) for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError, csv.Error):
        return []


def _numbers(cells: Iterable[tuple[str, str]]) -> dict[str, float]:
    return {key: float(value) for key, value in cells if value}
