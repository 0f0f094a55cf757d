"""The table of a comparison, as text and as Markdown. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.compare.design import PLAIN
from zoo.compare.results import Result

Cost = Mapping[str, Any]
HEAD = (
    "attention", "seeds", "accuracy %", "difference (95 % interval)", "p (Holm)", "verdict",
    "parameters", "MACs (M)", "latency (ms)", "memory (MB)",
)  # fmt: skip


def rows(found: Sequence[Result], costs: Mapping[str, Cost]) -> list[list[str]]:
    """A row for each arm, and one for the plain backbone before them."""
    plain = max(found, key=lambda r: len(r.seeds), default=None)
    first = [PLAIN, *((str(len(plain.seeds)), f"{plain.plain:.2f}") if plain else ("0", "")), ""]
    table = [[*first, "", "", *_costs(costs.get(PLAIN))]]
    return table + [_row(result, costs.get(result.label)) for result in found]


def _row(result: Result, cost: Cost | None) -> list[str]:
    return [
        result.label, str(len(result.seeds)), f"{result.accuracy:.2f}", _difference(result),
        "" if result.holm is None else _p(result.holm), result.verdict, *_costs(cost),
    ]  # fmt: skip


def _difference(result: Result) -> str:
    found = result.difference
    if found.low is None or found.high is None:
        return f"{found.mean:+.2f}"
    return f"{found.mean:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _costs(cost: Cost | None) -> list[str]:
    if cost is None:
        return [""] * 4
    return [
        f"{cost['parameters']:,}", f"{cost['macs'] / 1e6:.2f}", f"{cost['latency_ms']:.2f}",
        f"{cost['memory_mb']:.1f}",
    ]  # fmt: skip


def markdown(table: Sequence[Sequence[str]]) -> str:
    lines = [HEAD, ["---"] * len(HEAD), *table]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def text(table: Sequence[Sequence[str]]) -> str:
    """Columns with spaces between them, as wide as they need."""
    lines = [HEAD, *table]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
