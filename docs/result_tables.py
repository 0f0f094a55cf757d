"""Tables of results: figures from the manifests of weights, words from docs/results.toml."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mechanism_tables import table

from zoo.registry import Registry
from zoo.registry.specs import WeightsSpec

WORDS = Path(__file__).parent / "results.toml"
ONE_PASS = Path(__file__).parents[1] / "benchmarks" / "one_pass.json"
OVERLAPS = Path(__file__).parents[1] / "benchmarks" / "overlaps.json"
ROLLOUTS = 10  # that `ram_mnist` and its kin average unless their weights say otherwise


def short(registry: Registry) -> str:
    """The table of README.md."""
    rows = [
        (
            row["model"], row["data"], _one_pass(weights), _averaged(weights),
            row.get("short_paper", row["paper"]),
        )
        for row, weights in _rows(registry)
        if row.get("in_readme", True)
    ]  # fmt: skip
    return table(("model", "test data", "one pass", "averaged", "the paper"), rows)


def by_rollouts(registry: Registry) -> str:
    """Models whose prediction averages rollouts."""
    head = (
        "task", "the paper, from anywhere", "one pass from the centre", "averaged",
        "held out (one pass, averaged)",
        "recipe and curve", "time",
    )  # fmt: skip
    rows = [
        (
            row["task"], row["paper"], _figure(weights, "test_error_one_pass"), _averaged(weights),
            f"{_figure(weights, 'held_out_error_one_pass')}, {_figure(weights, 'held_out_error')}"
            + row.get("held_out_note", ""),
            row["recipe"], row["time"],
        )
        for row, weights in _rows(registry)
        if "test_error_one_pass" in weights.metrics
    ]  # fmt: skip
    return table(head, rows)


def from_anywhere(registry: Registry) -> str:
    """RAM that was trained and measured as the papers do: the first glimpse is anywhere."""
    rows = [
        (
            row["task"], row["paper"], _figure(weights, "test_error_from_anywhere"),
            _figure(weights, "test_error_from_anywhere_sampled"), _averaged(weights),
            f"{_figure(weights, 'held_out_error_from_anywhere')}, "
            f"{_figure(weights, 'held_out_error')}",
            row["recipe"], row["time"],
        )
        for row, weights in _rows(registry)
        if "test_error_from_anywhere" in weights.metrics
    ]  # fmt: skip
    head = (
        "task", "the paper", "one pass, mean policy", "one pass, sampled", "averaged",
        "held out (mean policy, averaged)", "recipe", "time",
    )  # fmt: skip
    return table(head, rows)


def in_one_pass(registry: Registry) -> str:
    """All other models."""
    rows = [
        (
            row["task"], row["paper"], _figure(weights, "test_error"),
            _figure(weights, "held_out_error"), row["recipe"], row["time"],
        )
        for row, weights in _rows(registry)
        if not _averages(weights)
    ]  # fmt: skip
    head = ("task", "the paper", "test error", "held out", "recipe and curve", "time")
    return table(head, rows)


def one_pass(_registry: Registry) -> str:
    """One pass of RAM by where it starts, on held-out digits; see benchmarks/one_pass.py."""
    rows = json.loads(ONE_PASS.read_text("utf-8"))["held_out"]
    papers = {row["weights"]: row["paper"] for row in _words()}
    head = (
        "model", "from anywhere, mean policy", "from anywhere, sampled", "the paper, test set",
        "from the centre, mean", "averaged (rollouts)", "multiplications, one pass and averaged",
    )  # fmt: skip
    cells = [
        (
            f"`{name}`",
            _with_sd(row, "anywhere_mean"), _with_sd(row, "anywhere_sampled"),
            papers[name], f"{row['centre_mean']:.2f} %",
            f"{row['averaged']:.2f} % ({row['rollouts']})",
            f"{row['macs'] / 1e6:.1f} M, {row['macs_averaged'] / 1e6:.1f} M",
        )
        for name, row in rows.items()
    ]  # fmt: skip
    return table(head, cells)


def overlaps(_registry: Registry) -> str:
    """What DRAM errs by how far two digits overlap; see benchmarks/overlaps.py."""
    record = json.loads(OVERLAPS.read_text("utf-8"))
    shares = list(next(iter(record.values()))["rows"])
    head = ("held-out canvases", *(_share(share) for share in shares), "all")
    rows = [
        (f"`{name}` errs", *(f"{row['error']:.1f} %" for row in each["rows"].values()),
         f"{each['error']:.2f} %")
        for name, each in record.items()
    ]  # fmt: skip
    counts = next(iter(record.values()))["rows"].values()
    rows.append(("share of the canvases", *(f"{row['canvases']:.1f} %" for row in counts), ""))
    return table(head, rows)


def _share(name: str) -> str:
    """A heading: `0.25-0.4` is 25 to 40 %."""
    low, _, high = name.partition("-")
    return f"{100 * float(low):.0f} to {100 * float(high):.0f} %" if high else name


def _with_sd(row: Mapping[str, Any], key: str) -> str:
    return f"{row[key]:.2f} ± {row[f'{key}_sd']:.2f} %"


def _words() -> list[dict[str, Any]]:
    return tomllib.loads(WORDS.read_text("utf-8"))["result"]


def _rows(registry: Registry) -> Sequence[tuple[Mapping[str, Any], WeightsSpec]]:
    """Each row of results.toml with its weights; every bundled file has one."""
    known = {f"{spec.model}.{spec.tag}": spec for spec in registry.weights.values()}
    rows = _words()
    bundled = {name for name, spec in known.items() if spec.kind == "bundled"}
    if bundled != {row["weights"] for row in rows}:
        raise SystemExit("docs/results.toml does not have one row for each bundled weights file")
    return [(row, known[row["weights"]]) for row in rows]


def _one_pass(weights: WeightsSpec) -> str:
    """One pass, and where its first glimpse is if there are glimpses."""
    starts = {
        "test_error_one_pass": " from the centre", "test_error_from_anywhere": " from anywhere"
    }  # fmt: skip
    for metric, start in starts.items():
        if metric in weights.metrics:
            return _figure(weights, metric) + start
    return _figure(weights, "test_error")


def _averages(weights: WeightsSpec) -> bool:
    return bool({"test_error_one_pass", "test_error_from_anywhere"} & weights.metrics.keys())


def _averaged(weights: WeightsSpec) -> str:
    if not _averages(weights):
        return "-"
    rollouts = weights.options.get("mc_samples", ROLLOUTS)
    return f"{_figure(weights, 'test_error')} ({rollouts} rollouts)"


def _figure(weights: WeightsSpec, metric: str) -> str:
    return f"{weights.metrics[metric]:.2f} %"
