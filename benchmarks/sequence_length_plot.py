"""The plot of `sequence_length.py`: three costs over N, with the measured exponent of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PANELS = {
    "forward_s": ("forward, eval", "seconds", 1.0),
    "training_s": ("forward and backward", "seconds", 1.0),
    "peak_bytes": ("peak memory, forward and backward", "MB", 1e-6),
}
STYLES = {2.0: "-", 1.5: "--", 1.0: "-"}
GREYS = ("black", "dimgrey", "darkgrey", "sienna", "peru")


def draw(record: dict[str, Any], path: Path) -> None:
    """Write the picture."""
    rows = record["rows"]
    colours = _colours(rows)
    figure, axes = plt.subplots(1, 3, figsize=(18, 10.5))
    for axis, (key, (title, unit, factor)) in zip(axes, PANELS.items(), strict=True):
        lines = sorted(rows.items(), key=lambda item: -item[1][key][-1])
        for label, row in lines:
            shown = f"N^{row[f'exponent_{key}']:.2f}  {label}"
            exceeds = row[f"exponent_{key}"] > row["claim"] + record["allowed"]
            axis.loglog(
                row["positions"], [v * factor for v in row[key]], STYLES[row["claim"]],
                color=colours[label], marker="o", markersize=3,
                linewidth=2.6 if label.startswith("softmax") else 1.3,
                label=shown + ("  *" if exceeds else ""),
            )  # fmt: skip
        _scale(axis, title, unit, rows)
    figure.suptitle(
        f"Attention over N positions: {record['channels']} channels, batch 1, "
        f"{record['threads']} thread, {record['machine']}, torch {record['torch']}\n"
        "N^e: measured over the three largest N.  * above what is claimed: "
        "2 for the greys and browns, 1.5 for dashed lines, 1 for the other colours",
        fontsize=12,
    )
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _colours(rows: dict[str, Any]) -> dict[str, Any]:
    """Greys and browns for those that claim N^2, a colour for each of the others."""
    quadratic = [label for label, row in rows.items() if row["claim"] == 2.0]
    others = [label for label in rows if label not in quadratic]
    bright = plt.get_cmap("turbo")
    found: dict[str, Any] = dict(zip(quadratic, GREYS, strict=False))
    return found | {k: bright((i + 0.5) / len(others)) for i, k in enumerate(others)}


def _scale(axis: Any, title: str, unit: str, rows: dict[str, Any]) -> None:
    ticks = sorted({n for row in rows.values() for n in row["positions"]})
    axis.set_xticks(ticks, [f"{n:,}" for n in ticks])
    axis.minorticks_off()
    axis.set_xlabel("N, positions")
    axis.set_ylabel(unit)
    axis.set_title(title)
    axis.grid(True, alpha=0.25)
    axis.legend(
        fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.07), ncols=2,
        title="N^e, the costliest at its largest N first", title_fontsize=8,
    )  # fmt: skip
