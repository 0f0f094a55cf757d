"""The plot of `sequence_length.py`: three costs over N, one row for each kind of attention.

A line is named where it ends, with its measured exponent, so that no legend is needed. Softmax
attention stands in every row, in grey, to compare with.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

PANELS = {
    "forward_s": ("forward", "seconds", 1.0),
    "training_s": ("forward and backward", "seconds", 1.0),
    "peak_bytes": ("peak memory of forward and backward", "MB", 1e-6),
}
# Rows of the figure, by what the attention does to claim less than N^2.
GROUPS = {
    "softmax over all N positions: claims N^2": (
        "softmax, as a matrix", "non_local, softmax", "emsa, reduction 2", "emsa, reduction 8",
    ),
    "fewer positions for each: rows and columns claim N^1.5, windows and neighbours N": (
        "axial", "criss_cross", "window, 7 x 7", "lambda_layer, 9 x 9", "non_local_sparse",
    ),
    "clusters and hashes: claim N": ("clustered, 100", "improved clustered, 100", "smyrf, 4 x 64"),
    "products in another order, random features: claim N": (
        "non_local, dot product", "efficient", "random_feature, 128", "random_feature, causal",
        "random_feature, gated",
    ),
    "few queries, or a memory of fixed size: claim N": (
        "external", "external_multihead", "ema_unit", "isab, 32", "perceiver, cross",
    ),
}  # fmt: skip
BESIDE = "softmax, SDPA"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c510a")  # told apart by everybody
LINE = 0.075  # share of a panel's height that the name of a line takes


def draw(record: dict[str, Any], path: Path) -> None:
    """Write the picture.

    Raises:
        ValueError: a line of the record is in no row, or a row has a line that was not measured.
    """
    rows = record["rows"]
    named = {name for group in GROUPS.values() for name in group} | {BESIDE}
    if named != set(rows):
        raise ValueError(f"not in both: {sorted(named ^ set(rows))}")
    figure = Figure(figsize=(15, 2.9 * len(GROUPS) + 0.8), layout="constrained")
    parts = figure.subfigures(len(GROUPS), 1, squeeze=False)[:, 0]
    limits = {key: _limits(rows, key) for key in PANELS}
    for part, (title, group) in zip(parts, GROUPS.items(), strict=True):
        part.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
        axes = part.subplots(1, len(PANELS))
        for axis, key in zip(axes, PANELS, strict=True):
            _panel(axis, key, [BESIDE, *group], record, limits[key])
    figure.suptitle(
        f"Attention over N positions: {record['channels']} channels, batch 1, "
        f"{record['threads']} thread, {record['machine']}, torch {record['torch']}.  "
        "N^e is measured over the three largest N; an exclamation mark: above the claim by more "
        f"than {record['allowed']}",
        fontsize=10,
    )
    figure.savefig(path, dpi=90)


def _limits(rows: dict[str, Any], key: str) -> tuple[float, float]:
    """Of the values of all rows, so that the rows can be compared."""
    values = [v * PANELS[key][2] for row in rows.values() for v in row[key]]
    return min(values) / 1.5, max(values) * 1.5


def _panel(
    axis: Any, key: str, labels: list[str], record: dict[str, Any], limits: tuple[float, float]
) -> None:
    title, unit, factor = PANELS[key]
    rows = record["rows"]
    ends: list[tuple[float, str, str]] = []
    for label, colour in zip(labels, ("0.55", *COLOURS), strict=False):
        row = rows[label]
        values = [v * factor for v in row[key]]
        axis.loglog(
            row["positions"], values, color=colour, marker="o", markersize=3,
            linewidth=3.5 if label == BESIDE else 1.6,
        )  # fmt: skip
        exceeds = row[f"exponent_{key}"] > row["claim"] + record["allowed"]
        text = f"{label}  N^{row[f'exponent_{key}']:.2f}{' !' if exceeds else ''}"
        ends.append((values[-1], text, colour))
    ticks = sorted({n for row in rows.values() for n in row["positions"]})
    axis.set_xticks(ticks, [f"{n:,}" for n in ticks], fontsize=8)
    axis.minorticks_off()
    axis.set(ylim=limits, ylabel=unit)
    axis.set_title(f"{title}, over N", fontsize=9)
    axis.grid(True, alpha=0.25)
    _name(axis, ends, limits)


def _name(axis: Any, ends: list[tuple[float, str, str]], limits: tuple[float, float]) -> None:
    """The names right of where the lines end, moved apart where they would meet."""
    low, high = (math.log(v) for v in limits)
    places = [((math.log(value) - low) / (high - low), *rest) for value, *rest in sorted(ends)]
    heights: list[float] = []
    for height, *_ in places:
        heights.append(max(height, heights[-1] + LINE) if heights else height)
    over = max(0.0, heights[-1] - 1)
    for (_, text, colour), height in zip(places, heights, strict=True):
        axis.text(
            1.02, height - over, text, color="0.35" if colour == "0.55" else colour, fontsize=8.5,
            va="center", transform=axis.transAxes,
        )  # fmt: skip
