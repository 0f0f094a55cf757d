"""Tables of results: figures from the manifests of weights, words from docs/results.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mechanism_tables import table

from zoo.registry import Registry
from zoo.registry.specs import WeightsSpec

WORDS = Path(__file__).parent / "results.toml"
ROLLOUTS = 10  # that `ram_mnist` and its kin average unless their weights say otherwise


def short(registry: Registry) -> str:
    """The table of README.md."""
    rows = [
        (
            row["model"], row["data"], _one_pass(weights), _averaged(weights),
            row.get("short_paper", row["paper"]),
        )
        for row, weights in _rows(registry)
    ]  # fmt: skip
    return table(("model", "test data", "error, one pass", "error, averaged", "the paper"), rows)


def by_rollouts(registry: Registry) -> str:
    """Models whose prediction averages rollouts."""
    head = (
        "task", "the paper", "one pass", "averaged", "held out (one pass, averaged)",
        "recipe and curve", "time",
    )  # fmt: skip
    rows = [
        (
            row["task"], row["paper"], _one_pass(weights), _averaged(weights),
            f"{_figure(weights, 'held_out_error_one_pass')}, {_figure(weights, 'held_out_error')}"
            + row.get("held_out_note", ""),
            row["recipe"], row["time"],
        )
        for row, weights in _rows(registry)
        if "test_error_one_pass" in weights.metrics
    ]  # fmt: skip
    return table(head, rows)


def in_one_pass(registry: Registry) -> str:
    """All other models."""
    rows = [
        (
            row["task"], row["paper"], _figure(weights, "test_error"),
            _figure(weights, "held_out_error"), row["recipe"], row["time"],
        )
        for row, weights in _rows(registry)
        if "test_error_one_pass" not in weights.metrics
    ]  # fmt: skip
    head = ("task", "the paper", "test error", "held out", "recipe and curve", "time")
    return table(head, rows)


def _rows(registry: Registry) -> Sequence[tuple[Mapping[str, Any], WeightsSpec]]:
    """Each row of results.toml with its weights; every bundled file has one."""
    known = {f"{spec.model}.{spec.tag}": spec for spec in registry.weights.values()}
    rows = tomllib.loads(WORDS.read_text("utf-8"))["result"]
    bundled = {name for name, spec in known.items() if spec.kind == "bundled"}
    if bundled != {row["weights"] for row in rows}:
        raise SystemExit("docs/results.toml does not have one row for each bundled weights file")
    return [(row, known[row["weights"]]) for row in rows]


def _one_pass(weights: WeightsSpec) -> str:
    averages = "test_error_one_pass" in weights.metrics
    return _figure(weights, "test_error_one_pass" if averages else "test_error")


def _averaged(weights: WeightsSpec) -> str:
    if "test_error_one_pass" not in weights.metrics:
        return "-"
    rollouts = weights.options.get("mc_samples", ROLLOUTS)
    return f"{_figure(weights, 'test_error')} ({rollouts} rollouts)"


def _figure(weights: WeightsSpec, metric: str) -> str:
    return f"{weights.metrics[metric]:.2f} %"
