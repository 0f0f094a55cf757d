"""The atlas's tables and pictures, from the records under benchmarks/atlas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mechanism_tables import table

from zoo.compare.results import results
from zoo.compare.table import HEAD, rows
from zoo.registry import Registry

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "benchmarks" / "atlas"


def attentions(registry: Registry) -> str:
    """The comparison of attentions, each where its spec puts it."""
    return _study("attentions")


def placements(registry: Registry) -> str:
    """The comparison of places."""
    return _study("placements")


def _study(name: str) -> str:
    """The conclusion, the table and the pictures of a study; a line if nothing is recorded."""
    file = RECORDS / f"{name}.json"
    if not file.exists():
        return "No pair of runs of this study is recorded yet.\n"
    record = json.loads(file.read_text("utf-8"))
    found = results(record["runs"])
    lines = rows(found, record["costs"])
    pictures = "\n".join(
        f"![{words}](pictures/atlas_{name}_{kind}.png)" for kind, words in PICTURES.items()
    )
    return f"\n{record['conclusion']}\n\n{table(HEAD, lines)}\n{pictures}\n\n{_machine(record)}\n"


PICTURES = {
    "forest": "Differences from the plain backbone with their intervals, and every pair of runs",
    "pareto": "Differences against the latency of one image",
}


def _machine(record: Mapping[str, Any]) -> str:
    machine, runs = record["machine"], record["runs"]
    hours = sum(run["seconds"] for run in runs) / 3600
    return (
        f"{len(runs)} runs, {hours:.1f} hours of training on one thread of an "
        f"{machine['processor']} CPU that had other work to do; PyTorch {machine['torch']}. Memory "
        f"is that of a training step on {machine['batch_size']} images."
    )
