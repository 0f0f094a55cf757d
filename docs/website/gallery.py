"""The gallery of mechanisms: a card each, which a script filters and sorts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from zoo.registry import Registry, catalogue
from zoo.registry.recorded_costs import recorded_cost
from zoo.registry.specs import CONTRACTS, ROLES, AttentionSpec

from . import records
from .drawings import Drawing
from .equations import plain
from .html import count, words
from .mechanism_page import start, trained

HEAD = """\
---
title: Mechanisms
description: Every attention mechanism of the zoo, with search, filters and costs.
hide: [navigation, toc]
---

# Mechanisms

<p class="lead">{total} attention mechanisms, each with its equations, a drawing of its data flow,
what it does to a picture, its cost, and what it was checked against.</p>
"""
NOTE = """\
The small pictures show one photograph of a cat: the gain of a gate, or where the output in the
middle comes from. Nothing was trained, and each has a scale of its own, on the mechanism's page.
Bars are the gains of some channels, of a gate that treats all positions alike; words say what is
taken that is more than one map. Parameters and multiplications are of a map 256 × 28 × 28, or of
784 tokens of width 256."""
SORTS = {
    "name": "name", "parameters": "parameters", "multiplications": "multiplications",
    "year": "year, newest first",
}  # fmt: skip


def page(drawings: Mapping[str, Drawing], registry: Registry) -> str:
    """The page as Markdown."""
    specs = [registry.attentions[name] for name in sorted(drawings)]
    cards = "".join(_card(spec, drawings[spec.name], registry) for spec in specs)
    note = f'<p class="fine">{NOTE}</p>'
    return (
        f"{HEAD.format(total=len(specs))}\n{_controls(specs)}\n"
        f'<ul class="cards" id="cards">{cards}</ul>\n{note}\n'
    )


def exportable() -> frozenset[str]:
    """Mechanisms of which a record says that they were exported; none without a record."""
    backbones = records.read("exportable.json").get("rows", {}).values()
    return frozenset(n for rows in backbones for n, row in rows.items() if row.get("onnx") == "")


def _controls(specs: Iterable[AttentionSpec]) -> str:
    specs = list(specs)
    families = sorted({s.family for s in specs})
    contracts = sorted({s.contract for s in specs})
    roles = sorted({s.insertion.role for s in specs})
    boxes = [("exact", "starts exactly as the identity"), ("weights", "has trained weights")]
    if exportable():
        boxes.append(("exportable", "exports to ONNX"))
    return (
        '<form class="filters" id="filters" role="search">'
        '<label>Search <input type="search" name="text" placeholder="name, paper, words"></label>'
        + _select("family", "Family", {f: words(f) for f in families})
        + _select("contract", "Takes and gives", {c: f"{c}: {CONTRACTS[c]}" for c in contracts})
        + _select("role", "Role", {r: ROLES[r] for r in roles})
        + _select("sort", "Sort by", SORTS, everything=False)
        + "".join(
            f'<label class="box"><input type="checkbox" name="{n}"> {t}</label>' for n, t in boxes
        )
        + f'<output name="count" aria-live="polite">{len(specs)} mechanisms</output></form>'
    )


def _select(name: str, label: str, options: Mapping[str, str], everything: bool = True) -> str:
    first = '<option value="">all</option>' if everything else ""
    rest = "".join(f'<option value="{k}">{escape(v)}</option>' for k, v in options.items())
    return f'<label>{label} <select name="{name}">{first}{rest}</select></label>'


def _card(spec: AttentionSpec, drawing: Drawing, registry: Registry) -> str:
    summary = catalogue.summary_of(spec, registry)
    data = _data(spec, summary, registry)
    attributes = " ".join(f'data-{k}="{escape(str(v))}"' for k, v in data.items())
    cost = recorded_cost(spec, registry)
    figures = (
        f"{count(cost['parameters'])} parameters · {count(cost['multiplications'])} multiplications"
        if cost
        else "cost not counted"
    )
    return (
        f'<li class="card" {attributes}><a href="{spec.name}/">{_picture(spec, drawing)}'
        f'<span class="name">{spec.name.replace("_", "_<wbr>")}</span></a><p>{plain(summary)}</p>'
        f'<p class="fine">{words(spec.family)} · {ROLES[spec.insertion.role]}<br>{figures}</p></li>'
    )


def _data(spec: AttentionSpec, summary: str, registry: Registry) -> dict[str, Any]:
    cost, found = recorded_cost(spec, registry) or {}, spec.provenance.paper
    said = (spec.name, *spec.aliases, summary, *((found.title, found.authors) if found else ()))
    return {
        "name": spec.name,
        "family": spec.family,
        "contract": spec.contract,
        "role": spec.insertion.role,
        "exact": int(start(spec) == "exact"),
        "weights": int(bool(trained(spec, registry))),
        "exportable": int(spec.name in exportable()),
        "parameters": cost.get("parameters", ""),
        "multiplications": cost.get("multiplications", ""),
        "year": found.year if found else "",
        "text": " ".join(said).lower(),
    }


def picture(drawing: Drawing) -> bool:
    """Whether there is a picture that shows anything."""
    effect = drawing.effect
    return bool(effect) and effect["constant"] is None and not effect["flat"]


def _picture(spec: AttentionSpec, drawing: Drawing) -> str:
    if not picture(drawing):
        return f'<span class="blank" aria-hidden="true">{_sign(spec, drawing)}</span>'
    return (
        f'<img class="pixels" src="../effects/{drawing.name}-cat.png" alt="" width="112" '
        'height="112" loading="lazy">'
    )


def _sign(spec: AttentionSpec, drawing: Drawing) -> str:
    """What stands in the place of a picture: the gains of channels, or what it takes."""
    effect = drawing.effect
    if effect is None:
        return words(spec.contract)
    if effect["constant"] is not None:
        return f"× {effect['constant']:.3g}"
    gains = effect["channels"][0]
    bars = "".join(
        f'<i style="height:{100 * max(v, 0) / max(map(abs, gains)):.0f}%"></i>' for v in gains[::4]
    )
    return f'<span class="small-bars">{bars}</span>'
