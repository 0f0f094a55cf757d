"""The two pictures of a comparison: differences with their intervals, and accuracy against cost."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.compare.design import PLAIN
from zoo.compare.results import Result, Run
from zoo.compare.table import Cost
from zoo.errors import UsageError
from zoo.runtime.files import write_atomically

COLOURS = {
    "better": "#0072b2", "worse": "#d55e00", "not told apart": "#555555", "one seed": "#aaaaaa",
}  # fmt: skip
SETTINGS: dict[Any, Any] = {"font.size": 9, "svg.hashsalt": "zoo", "axes.spines.top": False,
            "axes.spines.right": False}  # fmt: skip


def forest(found: Sequence[Result], runs: Sequence[Run], title: str) -> Any:
    """A figure: a line for each arm with its mean difference, its interval and every pair."""
    figure, axes = _axes(6.8, 1.3 + 0.27 * len(found))
    accuracy = {(run["arm"], run["seed"]): run["accuracy"] for run in runs}
    axes.axvline(0, color="black", linewidth=0.8)
    for place, result in enumerate(reversed(found)):
        pairs = [accuracy[result.label, s] - accuracy[PLAIN, s] for s in result.seeds]
        axes.plot(pairs, [place - 0.25] * len(pairs), ".", color="#999999", markersize=3)
        mean, colour = result.difference.mean, COLOURS[result.verdict]
        if result.difference.low is not None and result.difference.high is not None:
            ends = [[mean - result.difference.low], [result.difference.high - mean]]
            axes.errorbar(mean, place, xerr=ends, color=colour, capsize=2.5, linewidth=1.3)
        axes.plot(mean, place, "o", color=colour, markersize=4.5)
    axes.set_yticks(range(len(found)), [_named(result) for result in reversed(found)])
    axes.set_xlabel("difference from the plain backbone in accuracy (percentage points)")
    axes.set_title(title, fontsize=9, loc="left")
    _legend(figure, axes, {result.verdict for result in found})
    return figure


def pareto(found: Sequence[Result], costs: Mapping[str, Cost], title: str) -> Any:
    """A figure: difference against measured latency, and a line along the arms that none beats.

    Arms that were not measured are left out.
    """
    found = [result for result in found if result.label in costs]
    figure, axes = _axes(6.8, 4.4)
    places = {r.label: (costs[r.label]["latency_ms"], r.difference.mean) for r in found}
    places = {PLAIN: (costs[PLAIN]["latency_ms"], 0.0), **places}
    verdicts = {PLAIN: "not told apart", **{r.label: r.verdict for r in found}}
    axes.axhline(0, color="black", linewidth=0.8, zorder=0)
    best = front(places)
    line = {"color": "#009e73", "linewidth": 1, "label": "none is faster and as accurate"}
    axes.step(*zip(*(places[n] for n in best), strict=True), where="post", zorder=1, **line)
    for result in found:
        low, high = result.difference.low, result.difference.high
        if low is not None and high is not None:
            x = places[result.label][0]
            axes.plot([x, x], [low, high], color="#cccccc", linewidth=1, zorder=0)
    for name, (x, y) in places.items():
        axes.plot(x, y, "s" if name == PLAIN else "o", color=COLOURS[verdicts[name]], markersize=5)
    axes.set_xlabel("latency of one image (ms, median)")
    axes.set_ylabel("difference in accuracy (percentage points)")
    axes.margins(x=0.12)
    axes.set_title(title, fontsize=9, loc="left")
    _legend(figure, axes, {result.verdict for result in found})
    _write_names(figure, axes, places)
    return figure


def front(places: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names that no other beats in both: none is faster and at least as accurate."""
    found: list[str] = []
    for name in sorted(places, key=lambda n: (places[n][0], -places[n][1])):
        if not found or places[name][1] > places[found[-1]][1]:
            found.append(name)
    return found


def save(figure: Any, path: Path) -> None:
    """Write a figure as PNG and as SVG beside it. `path` has no suffix."""
    from matplotlib import rc_context

    for suffix, more in ((".png", {"dpi": 150}), (".svg", {"metadata": {"Date": None}})):
        content = io.BytesIO()
        with rc_context({"svg.hashsalt": "zoo"}):
            figure.savefig(content, format=suffix[1:], bbox_inches="tight", **more)
        write_atomically(path.with_name(path.name + suffix), content.getvalue())


def _axes(width: float, height: float) -> tuple[Any, Any]:
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "plots need matplotlib", remedy='pip install "attention-zoo[viz]"'
        ) from error
    with rc_context(SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        return figure, figure.add_subplot()


def _named(result: Result) -> str:
    return f"{result.label}  ({result.accuracy:.1f} %, n = {len(result.seeds)})"


def _legend(figure: Any, axes: Any, verdicts: set[str]) -> None:
    for name in (name for name in COLOURS if name in verdicts):
        axes.plot([], [], "o", color=COLOURS[name], label=name, markersize=4.5)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)


def _write_names(figure: Any, axes: Any, places: Mapping[str, tuple[float, float]]) -> None:
    """Names beside their points, each moved up or down until it covers no other."""
    figure.canvas.draw()  # the places of points on the page are known from here on
    taken: list[Any] = []
    for name, place in sorted(places.items(), key=lambda item: item[1]):
        text = axes.annotate(name, place, xytext=(5, 3), textcoords="offset points", fontsize=7)
        text.set_in_layout(False)
        for shift in (3, -9, 12, -18, 21, -27, 30):
            text.set_position((5, shift))
            box = text.get_window_extent()
            if not any(box.overlaps(other) for other in taken):
                break
        taken.append(text.get_window_extent())
