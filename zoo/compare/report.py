"""What a comparison leaves: a JSON file with every run, a table, and two pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoo.compare.plots import forest, pareto, save
from zoo.compare.results import Result, Run, conclusion, results
from zoo.compare.table import markdown, rows
from zoo.runtime.files import write_atomically


def report(
    design: Mapping[str, Any], runs: Sequence[Run], measured: Mapping[str, Any]
) -> dict[str, Any]:
    """All that is known, as plain data.

    Args:
        design: the content of `comparison.json`.
        runs: every finished run.
        measured: `machine` and `costs` of each arm, from `zoo.compare.costs`.
    """
    found = results(runs)
    return {
        **design,
        **measured,
        "results": [_plain(result) for result in found],
        "conclusion": conclusion(found, setting(design, runs)),
        "runs": list(runs),
    }


def _plain(result: Result) -> dict[str, Any]:
    return {**asdict(result), "verdict": result.verdict}


def setting(design: Mapping[str, Any], runs: Sequence[Run]) -> str:
    """The backbone, the data and the length of training, as a sentence names them."""
    recipe = design["recipe"]
    epochs = "1 epoch" if recipe["epochs"] == 1 else f"{recipe['epochs']} epochs"
    steps = f" ({runs[0]['steps']:,} steps)" if runs else ""
    start = "warm-started " if _is_warm(recipe) else ""
    return f"{start}{recipe['model']} trained on {recipe['data']['name']} for {epochs}{steps}"


def _is_warm(recipe: Mapping[str, Any]) -> bool:
    return any(recipe.get(key) for key in ("weights", "pretrained", "backbone_weights"))


def write(folder: Path, content: Mapping[str, Any]) -> list[Path]:
    """Write `results.json`, `table.md`, and `forest` and `pareto` as PNG and SVG.

    Raises:
        UsageError: matplotlib is absent. The first two files are then written.
    """
    found, runs, costs = results(content["runs"]), content["runs"], content["costs"]
    write_atomically(folder / "results.json", (json.dumps(content, indent=1) + "\n").encode())
    text = f"{markdown(rows(found, costs))}\n{content['conclusion']}\n"
    write_atomically(folder / "table.md", text.encode())
    title = setting(content, runs)
    pictures = {"forest": forest(found, runs, title), "pareto": pareto(found, costs, title)}
    for name, figure in pictures.items():
        save(figure, folder / name)
    names = ("results.json", "table.md", "forest.png", "forest.svg", "pareto.png", "pareto.svg")
    return [folder / name for name in names]
