"""The atlas: what mechanisms cost, and, where comparisons are recorded, what they are good for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from zoo.registry import Registry
from zoo.registry.recorded_costs import recorded_cost

from .html import words

HEAD = """\
---
title: Atlas
description: What attention mechanisms cost, and what comparisons of them found.
hide: [navigation, toc]
---

# Atlas

"""
COSTS = """\
## What they cost

Parameters and multiplications of each mechanism with default options, on a map 256 × 28 × 28 or on
784 tokens of width 256, counted in one forward pass. Both axes are logarithmic; what has none of
either stands at the edge. Point at a mark for its name, or choose a family.
"""
NOTHING = """\
## Comparisons

No comparison is recorded yet. Figures stand here only once they were measured.
"""


def page(registry: Registry, studies: Iterable[str] = ()) -> str:
    """The page as Markdown; `studies` are sections of recorded comparisons."""
    found = "\n\n".join(studies) or NOTHING
    return f"{HEAD}{found}\n\n{COSTS}\n{plot('scatter', _costs(registry))}\n"


def _costs(registry: Registry) -> dict[str, Any]:
    points = [
        {
            "name": spec.name, "group": words(spec.family), "href": f"../mechanisms/{spec.name}/",
            "x": cost["multiplications"], "y": cost["parameters"],
        }
        for spec in sorted(registry.attentions.values(), key=lambda s: s.name)
        if (cost := recorded_cost(spec, registry))
    ]  # fmt: skip
    return {
        "title": "Cost of mechanisms", "x": "multiplications", "y": "parameters",
        "log": ["x", "y"], "points": points,
    }  # fmt: skip


def plot(kind: str, data: dict[str, Any]) -> str:
    """A plot that `plots.js` draws from the JSON within it."""
    text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    script = f'<script type="application/json">{text}</script>'
    return f'<div class="plot" data-kind="{kind}">{script}</div>'
