"""docs/warm-starts.md: the table of benchmarks/warm_training.json, and what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from mechanism_tables import table

from zoo.registry import Registry

RECORD = Path(__file__).parents[1] / "benchmarks" / "warm_training.json"
STEEP = 1.3
STEPS = ("20", "200")
FORMS = ("default", "exact", "residual")
Row = Mapping[str, Any]


def measured(registry: Registry) -> str:
    """Every table: one for each backbone."""
    rows: dict[str, Row] = json.loads(RECORD.read_text())["rows"]
    backbones = dict.fromkeys(key.split("/")[0] for key in rows)
    return "\n".join(_backbone(registry, rows, backbone) for backbone in backbones)


def summary(registry: Registry) -> str:
    """How many fulfil each demand, in each backbone."""
    rows: dict[str, Row] = json.loads(RECORD.read_text())["rows"]
    head = ("backbone", "form", "measured", "logits within 1e-5", f"gradient at most {STEEP}",
            "tuned", "all parameters move", "accuracy kept")  # fmt: skip
    found: list[tuple[str, ...]] = []
    for backbone in dict.fromkeys(key.split("/")[0] for key in rows):
        plain = rows[f"{backbone}/plain/default"]
        for form in FORMS:
            own = [r for _, f, r in _of(registry, rows, backbone) if f == form]
            if own:
                found.append((f"`{backbone}`", form, *_counts(own, plain)))
    return table(head, found)


def _counts(rows: list[Row], plain: Row) -> Iterator[str]:
    tuned = [row for row in rows if _runs(row)]
    yield f"{len(rows)}"
    yield f"{sum(row['logits'] < 1e-5 for row in rows)}"
    yield f"{sum(ratio(row, plain) <= STEEP for row in rows)}"
    yield f"{len(tuned)}"
    yield f"{sum(not still(row) for row in tuned)}"
    yield f"{sum(all(kept(row, plain)) for row in tuned)}"


def _backbone(registry: Registry, rows: Mapping[str, Row], backbone: str) -> str:
    plain = rows[f"{backbone}/plain/default"]
    optimisers = list(plain.get("runs", {}))
    head = ("attention", "form", "logits", "gradient", "still",
            *(f"{o}, after {' and '.join(STEPS)}" for o in optimisers))  # fmt: skip
    cells = [("none", "-", "-", "1.00", "-", *(_kept(plain, plain, o) for o in optimisers))]
    for name, form, row in _of(registry, rows, backbone):
        marked = f"{row['form']}{', the default' if form == 'default' else ''}"
        cells.append((
            f"`{name}`", marked, f"{row['logits']:.0e}", f"{ratio(row, plain):.2f}",
            f"{len(still(row))}" if _runs(row) else "",
            *(_kept(row, plain, optimiser) for optimiser in optimisers),
        ))  # fmt: skip
    return f"### `{backbone}`\n\n{table(head, cells)}{_refused(rows, backbone)}"


def _refused(rows: Mapping[str, Row], backbone: str) -> str:
    """What the backbone has no place for."""
    names = {key.split("/")[1] for key, row in rows.items()
             if key.startswith(f"{backbone}/") and "refused" in row}  # fmt: skip
    listed = ", ".join(f"`{name}`" for name in sorted(names))
    return f"\nIt has no place that could take: {listed}.\n" if names else ""


def _of(
    registry: Registry, rows: Mapping[str, Row], backbone: str
) -> Iterator[tuple[str, str, Row]]:
    """(mechanism, form asked for, row) of what was measured, in the order of the registry."""
    for name, form in product(registry.attentions, FORMS):
        row = rows.get(f"{backbone}/{name}/{form}", {})
        if "norms" in row:
            yield name, form, row


def ratio(row: Row, plain: Row) -> float:
    """The norm of the gradient over the plain backbone's, after the same batches."""
    both = list(zip(row["norms"], plain["norms"], strict=False))
    return sum(own for own, _ in both) / sum(other for _, other in both)


def still(row: Row) -> set[str]:
    """Parameters that AdamW has not moved."""
    runs = [run for o, runs in _runs(row).items() if "AdamW" in o for run in runs.values()]
    return {name for run in runs for name in run["still"]}


def kept(row: Row, plain: Row) -> Iterator[bool]:
    """For each optimiser and number of steps, whether top-1 is not below the plain backbone's.

    That is: below by no more than two standard errors of the difference in the same orders; of one
    order, by no more than ten points.
    """
    for optimiser in _runs(row):
        for steps in STEPS:
            differences = [a - b for a, b in _pairs(row, plain, optimiser, steps)]
            if len(differences) > 1:
                error = stdev(differences) / len(differences) ** 0.5
                yield mean(differences) >= -2 * max(error, 1.0)
            elif differences:
                yield differences[0] >= -10


def _pairs(row: Row, plain: Row, optimiser: str, steps: str) -> list[tuple[float, float]]:
    ours, theirs = _runs(row).get(optimiser, {}), _runs(plain).get(optimiser, {})
    return [
        (ours[order][steps]["top1"], theirs[order][steps]["top1"])
        for order in ours
        if steps in ours[order] and steps in theirs.get(order, {})
    ]


def _kept(row: Row, plain: Row, optimiser: str) -> str:
    """Mean top-1 after each number of steps, and of how many orders."""
    found: list[str] = []
    for steps in STEPS:
        pairs = _pairs(row, plain, optimiser, steps)
        if pairs:
            found.append(f"{mean(own for own, _ in pairs):.0f} ({len(pairs)})")
    return ", ".join(found)


def _runs(row: Row) -> Mapping[str, Any]:
    return {o: runs for o, runs in row.get("runs", {}).items() if runs}
