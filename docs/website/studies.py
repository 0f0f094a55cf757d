"""Recorded comparisons as sections of the atlas: a conclusion in words, a forest, a Pareto plot."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .atlas import plot
from .equations import words
from .html import code, table
from .records import ROOT

FOLDER = ROOT / "benchmarks" / "atlas"
PLAIN = "the plain backbone"
COLOURS = {
    "better": "#2f8f5b", "worse": "#c23a4b", "not told apart": "#5c6b7a", PLAIN: "#3b6fd4",
}  # fmt: skip
Study = Mapping[str, Any]


def sections(folder: Path = FOLDER) -> list[str]:
    """A section for each record of `zoo compare` in a folder; none without records."""
    return [_section(name, study) for name, study in _studies(folder)]


def _studies(folder: Path) -> Iterator[tuple[str, Study]]:
    """Records are `<name>.json`, or `<name>/results.json`."""
    for file in sorted(folder.rglob("*.json")):
        content = json.loads(file.read_bytes())
        if isinstance(content, dict) and content.get("results"):
            yield (file.parent.name if file.stem == "results" else file.stem), content


def _section(name: str, study: Study) -> str:
    title = name.replace("_", " ").replace("-", " ").capitalize()
    parts = [f"## {title}", f"<p>{words(study.get('conclusion', ''))}</p>", _forest(title, study)]
    if study.get("costs"):
        parts.append(_pareto(title, study))
    return "\n\n".join([*parts, _table(study)])


def _forest(title: str, study: Study) -> str:
    rows = [
        {
            "name": f"{r['label']} (n = {len(r['seeds'])})",
            "mean": r["difference"]["mean"],
            "low": _or(r["difference"]["low"], r["difference"]["mean"]),
            "high": _or(r["difference"]["high"], r["difference"]["mean"]),
            "values": _pairs(r, study),
            "verdict": r.get("verdict", ""),
            **_href(r["label"], study),
        }
        for r in study["results"]
    ]
    text = (
        "Differences from the plain backbone in accuracy, in percentage points: a faint dot for "
        "each pair of runs, the mean, and its interval. Green is better and red worse by the test "
        "that is corrected for so many comparisons; grey is not told apart."
    )
    data = {"title": f"{title}: differences", "x": "percentage points", "rows": rows}
    return f"{text}\n\n{plot('forest', data)}"


def _or(value: float | None, other: float) -> float:
    return other if value is None else value


def _pairs(result: Mapping[str, Any], study: Study) -> list[float]:
    accuracy = {(run["arm"], run["seed"]): run["accuracy"] for run in study.get("runs", ())}
    plain = _plain(study)
    return [
        accuracy[result["label"], seed] - accuracy[plain, seed]
        for seed in result["seeds"]
        if (result["label"], seed) in accuracy and (plain, seed) in accuracy
    ]


def _plain(study: Study) -> str:
    """The label of the arm with which the others are compared."""
    compared = {r["label"] for r in study["results"]}
    return next((run["arm"] for run in study.get("runs", ()) if run["arm"] not in compared), "")


def _href(label: str, study: Study) -> dict[str, str]:
    attention = (study.get("arms", {}).get(label) or {}).get("attention")
    return {"href": f"../mechanisms/{attention}/"} if attention else {}


def _pareto(title: str, study: Study) -> str:
    places = {r["label"]: r["difference"]["mean"] for r in study["results"]}
    verdicts = {r["label"]: r.get("verdict", "") for r in study["results"]}
    places[_plain(study)] = 0.0
    points = [
        {
            "name": label,
            "group": verdicts.get(label, PLAIN),
            "x": study["costs"][label]["latency_ms"],
            "y": mean,
            **_href(label, study),
        }
        for label, mean in places.items()
        if label in study["costs"]
    ]
    text = (
        "The same differences against the measured time of one image. No arm beats the dashed line."
    )
    data = {
        "title": f"{title}: accuracy and time", "x": "ms an image",
        "y": "difference, percentage points", "points": points, "front": front(points),
        "colours": COLOURS,
    }  # fmt: skip
    return f"{text}\n\n{plot('scatter', data)}"


def front(points: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """The points that no other beats in both, from the fastest on."""
    found: list[dict[str, float]] = []
    for point in sorted(points, key=lambda p: (p["x"], -p["y"])):
        if not found or point["y"] > found[-1]["y"]:
            found.append({"x": point["x"], "y": point["y"]})
    return found


def _table(study: Study) -> str:
    rows = [
        (
            code(r["label"]), str(len(r["seeds"])), f"{r['accuracy']:.2f}", f"{r['plain']:.2f}",
            f"{r['difference']['mean']:+.2f}", r.get("verdict", ""),
        )
        for r in study["results"]
    ]  # fmt: skip
    head = ("attention", "seeds", "accuracy, %", "plain, %", "difference", "verdict")
    return table(head, rows)
