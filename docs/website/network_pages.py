"""The named models: a page for each, with its weights, licences and results, and a list of all."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from zoo.registry import Registry, catalogue
from zoo.registry.recorded_costs import recorded_cost
from zoo.registry.specs import ModelSpec, WeightsSpec

from .equations import plain, words
from .html import chips, code, count, paper, table
from .html import words as spaced

KINDS = {
    "bundled": "in the package",
    "published": "published on the Hub",
    "warm_start": "the plain backbone's; the attention is untrained",
    "unpublished": "a recipe, and no file yet",
}
HEAD = """\
---
title: Networks
description: Every named model of the zoo, with its weights.
hide: [navigation]
---

# Networks

<p class="lead">{total} models with names of their own. Beyond them, any attention that goes into
backbones goes by name into any of timm's: <code>&lt;attention&gt;&#95;&lt;backbone&gt;</code>.</p>
"""


def index(registry: Registry) -> str:
    """The list of all, by family."""
    specs = sorted(registry.models.values(), key=lambda s: (s.family, s.name))
    parts = [HEAD.format(total=len(specs))]
    for family, members in groupby(specs, key=lambda s: s.family):
        rows = [_row(spec, registry) for spec in members]
        head = ("model", "paper", "weights", "parameters", "multiplications")
        parts.append(f"## {spaced(family).capitalize()}\n\n{table(head, rows, numbers=2)}")
    return "\n\n".join(parts) + "\n"


def _row(spec: ModelSpec, registry: Registry) -> tuple[str, ...]:
    found, cost = spec.provenance.paper, recorded_cost(spec, registry)
    kinds = sorted({w.kind.replace("_", " ") for w in catalogue.weights_of(spec.name, registry)})
    figures = [count(cost[k]) if cost else "–" for k in ("parameters", "multiplications")]
    source = f"{plain(found.venue)} {found.year or ''}" if found else "–"
    return (
        f'<a href="{spec.name}/">{code(spec.name)}</a>',
        source,
        ", ".join(kinds) or "–",
        *figures,
    )


def page(spec: ModelSpec, registry: Registry) -> str:
    """The page of one named model."""
    found = catalogue.weights_of(spec.name, registry)
    sections = [
        _top(spec, registry),
        f"## Using it\n\n```python\n{_use(spec, found)}\n```",
        f"## Weights and results\n\n{_weights(spec, found)}",
        _notes(spec),
        f"## Paper and parts\n\n{_parts(spec, registry)}",
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _top(spec: ModelSpec, registry: Registry) -> str:
    cost = recorded_cost(spec, registry)
    size = " × ".join(map(str, cost["input_size"])) if cost else ""
    macs = f"{count(cost['multiplications'])} a prediction of {size}" if cost else ""
    facts = chips([
        ("family", spaced(spec.family)),
        ("parameters", f"{cost['parameters']:,}" if cost else ""),
        ("multiplications", macs),
        ("kind", "hard: it samples" if spec.kind == "hard" else ""),
    ])  # fmt: skip
    meta = f"---\ntitle: {spec.name}\nhide: [navigation]\n---\n\n"
    return f'{meta}<p class="crumb"><a href="../">All networks</a></p>\n\n# {spec.name}\n\n{facts}'


def _use(spec: ModelSpec, found: list[WeightsSpec]) -> str:
    pretrained = any(w.kind != "unpublished" for w in found) or bool(spec.backbone)
    given = ", pretrained=True" if pretrained else ""
    lines = ["import zoo", "", f'model = zoo.create_model("{spec.name}"{given})']
    lines += [
        f'model = zoo.create_model("{spec.name}.{w.tag}", pretrained=True)'
        for w in found
        if not w.default and w.kind != "unpublished"
    ]
    return "\n".join(lines)


def _weights(spec: ModelSpec, found: list[WeightsSpec]) -> str:
    if not found and spec.backbone:
        return (
            "There are no trained weights of its own. `pretrained=True` starts it from the weights "
            f"of `{spec.backbone}`; the attention is untrained, and no accuracy is claimed "
            "([more](../weights.md))."
        )
    return "\n\n".join(map(_weight, found)) or "There are no weights of it."


def _weight(w: WeightsSpec) -> str:
    metrics = "; ".join(_figure(k, v) for k, v in w.metrics.items() if k != "source")
    facts: list[tuple[str, Any]] = [
        ("where", KINDS[w.kind]),
        ("licence", w.license),
        ("results", metrics),
        ("measured on", w.metrics.get("source", "")),
        ("trained on", w.data),
        ("recipe", code(w.recipe) if w.recipe else ""),
        ("repository", code(w.repository) if w.repository else ""),
        ("commit", code(w.revision) if w.revision else ""),
        ("SHA-256", code(w.sha256) if w.sha256 else ""),
        ("notes", words(w.notes) if w.notes else ""),
    ]
    made = ("recipe", "repository", "commit", "SHA-256", "notes")
    items = "".join(
        f"<dt>{k}</dt><dd>{v if k in made else plain(str(v))}</dd>" for k, v in facts if v
    )
    default = ", the default" if w.default else ""
    return f"### `{w.tag}`{default}\n\n<dl>{items}</dl>"


def _figure(name: str, value: Any) -> str:
    unit = " %" if name.startswith("top") or "error" in name else ""
    return f"{spaced(name)} {value}{unit}"


def _notes(spec: ModelSpec) -> str:
    notes = spec.provenance.notes
    return f"## Departures and choices\n\n<p>{words(notes)}</p>" if notes else ""


def _parts(spec: ModelSpec, registry: Registry) -> str:
    attention = registry.aliases.get(spec.attention, spec.attention)
    link = f'<a href="../../mechanisms/{attention}/">{code(attention)}</a>' if attention else ""
    options = ", ".join(f"{k}={v!r}" for k, v in spec.defaults.items())
    lines = [
        ("Paper", paper(spec.provenance.paper)),
        ("Attention", link),
        ("Backbone", code(spec.backbone) if spec.backbone else ""),
        ("Options", code(options) if options else ""),
        ("Other names", ", ".join(map(code, spec.aliases))),
        ("Code", code(spec.target) if spec.target else ""),
    ]
    return f"<dl>{''.join(f'<dt>{k}</dt><dd>{v}</dd>' for k, v in lines if v)}</dl>"
