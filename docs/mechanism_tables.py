"""The text of docs/mechanisms.md: what is known of every mechanism, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from zoo.registry import Registry
from zoo.registry.catalogue import weights_of
from zoo.registry.recorded_costs import recorded_cost
from zoo.registry.specs import CONTRACTS, ROLES, AttentionSpec, ModelSpec

HEAD = """\
# Mechanisms

This file is written by `python docs/generate.py`. Please do not edit it by hand.

Every mechanism of the zoo has a row here, by the families of the survey
[Visual Attention Methods in Deep Learning](https://arxiv.org/abs/2204.07756). The columns mean:

- *name*: what `zoo.create_attention` takes, and its aliases.
- *contract*: what goes in and what comes out; see the list below.
- *role*: how it goes into a backbone. A mechanism that stands on its own does not go into one.
- *start*: how it starts in a pretrained backbone, by default, so that no logit moves. `exact` means
  that the mechanism itself starts as c x, or, of a token mixer, as the attention that it replaces.
  `residual` means that it starts through x + α (f(x) − x), or beside what stands there with α f(x),
  where α = 0: it cannot start as c x, or what a network knows would not survive the first steps
  from there ([warm-starts.md](warm-starts.md)). `-` means that it does not go into backbones.
- *parameters*, *MACs*, *bytes*: the cost with default options on a map (1, 256, 28, 28) in
  float32, or on 784 tokens of width 256; `-` where a mechanism takes neither. MACs are
  multiply-accumulates: half of what `torch.utils.flop_counter` counts in one forward pass, which is
  convolutions, products of matrices and attention, but not sums, norms and activations. Bytes are
  input, output and parameters, each counted once: the least that must be moved.
- *checked against*: whose recorded outputs and gradients the mechanism reproduces
  (`zoo verify tests/reference`). "The equations" means the paper's equations, written out plainly.
"""
SOURCES = {
    "authors": "the authors' code",
    "transcribed": "the authors' code, transcribed",
    "independent": "independent code",
}
COLUMNS = (
    "name", "contract", "role", "start", "parameters", "MACs", "bytes", "checked against", "paper",
)  # fmt: skip


def mechanisms(registry: Registry) -> str:
    """The whole text: the contracts, then a section for each family."""
    specs = sorted(registry.attentions.values(), key=lambda s: (s.family, s.name))
    used = {spec.contract for spec in specs}
    contracts = [f"- `{key}`: {text}" for key, text in CONTRACTS.items() if key in used]
    families = [
        _family(family, list(members), registry)
        for family, members in groupby(specs, key=lambda s: s.family)
    ]
    named = [_models(registry), _datasets(registry)]
    return "\n".join([HEAD, "Contracts:\n", *contracts, "", *families, *named])


def _models(registry: Registry) -> str:
    """Models with names of their own: what they are, and whether there are weights."""
    head = "name", "family", "weights", "checked against", "paper"
    rows = [
        _line((
            ", ".join(f"`{name}`" for name in (spec.name, *spec.aliases)),
            spec.family.replace("_", " "),
            ", ".join(sorted({w.kind for w in weights_of(spec.name, registry)})) or "-",
            checked_against(spec),
            _paper(spec),
        ))
        for spec in sorted(registry.models.values(), key=lambda s: (s.family, s.name))
    ]  # fmt: skip
    notes = [
        f"- `{s.name}`: {s.provenance.notes}"
        for _, s in sorted(registry.models.items())
        if s.provenance.notes
    ]
    table = [_line(head), "|" + "---|" * len(head), *rows]
    return "\n".join(["## Named models", "", *table, "", "Departures and choices:\n", *notes, ""])


def _datasets(registry: Registry) -> str:
    rows = [
        _line((f"`{spec.name}`", str(spec.num_classes or "-"), spec.license or "-"))
        for _, spec in sorted(registry.datasets.items())
    ]
    return "\n".join(
        ["## Data sets", "", "| name | classes | licence |", "|---|---|---|", *rows, ""]
    )


def _family(family: str, specs: Sequence[AttentionSpec], registry: Registry) -> str:
    lines = [f"## {family.replace('_', ' ').capitalize()}", "", _line(COLUMNS)]
    lines.append("|" + "---|" * 4 + "---:|" * 3 + "---|" * 2)
    lines += [_line(_cells(spec, recorded_cost(spec, registry))) for spec in specs]
    notes = [f"- `{spec.name}`: {spec.provenance.notes}" for spec in specs if spec.provenance.notes]
    return "\n".join([*lines, "", *(["Departures and choices:\n", *notes, ""] if notes else [])])


def _cells(spec: AttentionSpec, cost: Mapping[str, Any] | None) -> tuple[str, ...]:
    figures = tuple(cost[key] for key in ("parameters", "multiplications", "bytes")) if cost else ()
    return (
        ", ".join(f"`{name}`" for name in (spec.name, *spec.aliases)),
        f"`{spec.contract}`",
        ROLES[spec.insertion.role],
        _start(spec),
        *(f"{figure:,}" for figure in figures),
        *("-" for _ in range(3 - len(figures))),
        checked_against(spec),
        _paper(spec),
    )


def _start(spec: AttentionSpec) -> str:
    if spec.insertion.role == "none":
        return "-"
    return spec.insertion.warm_form


def checked_against(spec: AttentionSpec | ModelSpec) -> str:
    """What the mechanism's outputs and gradients are compared with; `-` if nothing is stated."""
    if not spec.provenance.verified:
        return "-"
    if spec.provenance.verified != "cases":
        return "the equations"
    return SOURCES.get(spec.provenance.reference, "the equations")


def _paper(spec: AttentionSpec | ModelSpec) -> str:
    paper = spec.provenance.paper
    if paper is None:
        return "-"
    title = f"[{paper.title}]({paper.url})" if paper.url else paper.title
    return f"{title}, {paper.venue} {paper.year or ''}".rstrip(" ,")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, with a line end."""
    lines = [_line(head), "|" + "---|" * len(head), *map(_line, rows)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
