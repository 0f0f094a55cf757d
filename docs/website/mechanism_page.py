"""The page of one mechanism, from its spec, the docstring of its file, records and a run of it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from zoo.registry import Registry, catalogue
from zoo.registry.constructor import FACTORY
from zoo.registry.recorded_costs import recorded_cost
from zoo.registry.specs import CONTRACTS, ROLES, AttentionSpec
from zoo.registry.targets import resolve
from zoo.registry.values import hints_of, phrase

from . import docstrings, effect_section, records
from .drawings import Drawing
from .equations import plain, words
from .html import chips, code, count, paper, table
from .html import words as spaced

Cases = Sequence[Mapping[str, Any]]
SOURCES = {
    "authors": "the authors' own code",
    "transcribed": "the authors' own code, transcribed to PyTorch",
    "independent": "independent code",
    "equations": "the paper's equations, written out plainly",
}
AS_THE_MIXER = (
    "It can start as the attention that it replaces, so that the network keeps its logits."
)
STARTS = {
    "exact": "It can start as the identity up to a constant, so that the network keeps its logits.",
    "residual": "It starts behind a factor of 0, so that the network keeps its logits.",
}


def page(spec: AttentionSpec, drawing: Drawing, cases: Cases, registry: Registry) -> str:
    """The page as Markdown."""
    text = docstrings.head(spec.target)
    sections = [
        _top(spec, registry),
        f"## Equations\n\n{_equations(text)}",
        f"## Data flow\n\n{_flow(spec, drawing)}",
        f"## What it does to a picture\n\n{effect_section.section(spec, drawing)}",
        f"## Using it\n\n{_use(spec, registry)}",
        f"## Cost and speed\n\n{_cost(spec, registry)}",
        f"## What was checked\n\n{_checked(spec, cases)}{_exports(spec)}",
        _notes(spec),
        f"## Paper, names and relatives\n\n{_origins(spec, registry)}",
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _top(spec: AttentionSpec, registry: Registry) -> str:
    summary = catalogue.summary_of(spec, registry)
    facts = chips([
        ("family", spaced(spec.family)),
        ("takes", CONTRACTS[spec.contract]),
        ("role", ROLES[spec.insertion.role]),
        ("start", start(spec)),
        ("kind", "hard: it samples" if spec.kind == "hard" else ""),
        ("weights", "yes" if trained(spec, registry) else ""),
    ])  # fmt: skip
    meta = f"---\ntitle: {spec.name}\ndescription: {_quoted(summary)}\nhide: [navigation]\n---\n\n"
    back = '<p class="crumb"><a href="../">All mechanisms</a></p>'
    return f'{meta}{back}\n\n# {spec.name}\n\n<p class="lead">{words(summary)}.</p>\n{facts}'


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "").replace('"', "'") + '"'


def start(spec: AttentionSpec) -> str:
    """How it starts in a pretrained network; empty of what does not go into one."""
    if spec.insertion.role == "none":
        return ""
    return "residual" if spec.insertion.role == "replace_conv" else spec.insertion.identity


def trained(spec: AttentionSpec, registry: Registry) -> list[str]:
    """Named models with this attention of which there are trained weights."""
    have = {w.model for w in registry.weights.values() if w.kind in ("bundled", "published")}
    called = (spec.name, *spec.aliases)
    return [m.name for m in registry.models.values() if m.attention in called and m.name in have]


def _equations(text: str) -> str:
    if not text:
        return "The file of this mechanism has no docstring.\n"
    title = text.partition("\n")[0]
    return (
        f'<div class="paper">\n<p>{words(title)}</p>\n{docstrings.html(text)}\n'
        '<details class="source"><summary>As it stands in the source</summary>'
        f"<pre><code>{_preformatted(text)}</code></pre></details>\n</div>"
    )


def _preformatted(text: str) -> str:
    """Text whose lines Markdown leaves alone: it ends a block of HTML at an empty line."""
    return escape(text, quote=False).replace("\n\n", "\n&#8203;\n")


def _flow(spec: AttentionSpec, drawing: Drawing) -> str:
    if not drawing.flow:
        return (
            "A run of this mechanism has too many steps to be drawn so that one could read it. "
            "These are its modules:\n\n"
            f'<pre class="tree" tabindex="0"><code>{_preformatted(drawing.tree)}</code></pre>'
        )
    return (
        "Drawn from one run of the module, with its default options unless its example needs "
        "others. Blue boxes are layers, yellow ones learned parameters, grey ones operations; "
        "the small line is a layer's sizes and the shape of the result for one sample.\n\n"
        '<div class="drawing" tabindex="0" role="region" aria-label="Data flow">'
        f"{drawing.flow}</div>"
    )


def _use(spec: AttentionSpec, registry: Registry) -> str:
    parts: list[str] = []
    if catalogue.goes_into_backbones(spec):
        parts.append(_in_backbones(spec))
    parts += [f"By itself:\n\n```python\n{_alone(spec)}\n```", _options(spec, registry)]
    return "\n\n".join(filter(None, parts))


def _backbone(spec: AttentionSpec) -> str:
    """A backbone that can take it; what needs a grid of tokens takes none with a class token."""
    if spec.insertion.role != "replace_mixer":
        return "resnet50"
    return "vit_medium_patch16_gap_256" if spec.insertion.needs_size else "vit_small_patch16_224"


def _in_backbones(spec: AttentionSpec) -> str:
    mixer = spec.insertion.role == "replace_mixer"
    begins = AS_THE_MIXER if mixer and start(spec) == "exact" else STARTS[start(spec)]
    backbone = _backbone(spec)
    at = (
        "**.attn"
        if mixer
        else "layer4.*.conv2"
        if spec.insertion.role == "replace_conv"
        else "layer4"
    )
    return (
        f"In a pretrained backbone of timm. {begins}\n\n```python\nimport zoo\n\n"
        f'model = zoo.create_model("{spec.name}_{backbone}", pretrained=True)\n'
        "```\n\nIn a network of your own, which keeps its keys and outputs "
        "([more](../your-model.md)):\n\n"
        f'```python\nzoo.add_attention(model, "{spec.name}", at="{at}", example=images)\n```'
    )  # fmt: skip


def _alone(spec: AttentionSpec) -> str:
    size = ", feat_size=(28, 28)" if spec.insertion.needs_size else ""
    takes_channels = spec.contract in ("map", "map_channels", "tokens", "regulariser")
    channels = ", channels=64" if takes_channels and not spec.trial.example else ""
    rest = "" if channels else "  # with the options below"
    return f'attention = zoo.create_attention("{spec.name}"{channels}{size}){rest}'


def _options(spec: AttentionSpec, registry: Registry) -> str:
    target: Any = resolve(spec.target, registry.owner(spec))
    hints = hints_of(target)
    rows = [
        (
            code(p.name), plain(_allowed(hints.get(p.name, Any))),
            "required" if p.default is p.empty else code(repr(p.default)),
        )
        for p in inspect.signature(target).parameters.values()
        if p.name not in FACTORY and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]  # fmt: skip
    return table(("option", "what it may be", "default"), rows) if rows else ""


def _allowed(annotation: Any) -> str:
    try:
        return phrase(annotation)
    except Exception:  # an annotation of a kind of its own
        return str(annotation)


def _cost(spec: AttentionSpec, registry: Registry) -> str:
    found = recorded_cost(spec, registry)
    if not found:
        said = "Costs are counted of what takes one map or one list of tokens; this takes more."
        return f"{said}\n\n{_speed(spec)}"
    size = " × ".join(map(str, found["input_size"]))
    what = "tokens" if len(found["input_size"]) == 2 else "a map of"
    return (
        f"With default options, on {what} {size}, float32: **{found['parameters']:,}** parameters "
        f"and **{count(found['multiplications'])}** multiplications in a forward pass (of "
        "convolutions, matrix products and attention; sums, norms and activations are not "
        f"counted).\n\n{_speed(spec)}"
    )


def _speed(spec: AttentionSpec) -> str:
    sizes, setting = records.speed(spec.name)
    if not sizes:
        return "Its speed was not measured."
    head = ("map", "batch", "forward, ms", "forward and backward, ms", "memory, MiB",
            "the formula, × as long", "timm, × as long")  # fmt: skip
    rows = [
        (
            size.replace("x", " × "), str(row["batch"]),
            *(_figure(row.get(way, {}).get("ours_ms")) for way in ("forward", "backward")),
            _figure(row.get("backward", {}).get("ours_mib")),
            *(_figure(row.get("forward", {}).get(key)) for key in ("formula_ratio", "timm_ratio")),
        )
        for size, row in sizes.items()
    ]  # fmt: skip
    where = f"an {setting.get('machine', '')} CPU, {setting.get('threads', 1)} thread"
    return (
        f"Measured on {where}, torch {setting.get('torch', '')}, {setting.get('dtype', '')}; times "
        "are medians for the whole batch. The last columns compare forward passes with the "
        "published equations written out step by step, and with timm's layer: above 1, this one "
        f"is faster. [How it was measured](../speed.md).\n\n{table(head, rows, numbers=6)}"
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:,.3g}"


def _checked(spec: AttentionSpec, cases: Cases) -> str:
    provenance = spec.provenance
    source = SOURCES.get(provenance.reference, "reference code")
    licence = f" (licence: {plain(provenance.license)})" if provenance.license else ""
    if not cases:
        return (
            "No outputs of reference code are recorded for it. Tests hold it to its paper's "
            "equations, written out plainly. [How fidelity is shown](../fidelity.md)."
        )
    passed = sum(case["status"] == "passed" for case in cases)
    rows = [
        (
            code(case["file"]), case["status"], _error(case["max_abs_error"]),
            _error(case["max_grad_error"]),
        )
        for case in cases
    ]  # fmt: skip
    head = ("case", "result", "outputs differ by", "gradients differ by")
    largest = max((case["max_abs_error"] or 0.0 for case in cases), default=0.0)
    return (
        f"{passed} of {len(cases)} recorded cases of {source}{licence} are reproduced; the largest "
        f"difference of an output is {_error(largest)}. They were run when this page was built. "
        f"[How fidelity is shown](../fidelity.md).\n\n{table(head, rows, numbers=2)}"
    )


def _error(value: float | None) -> str:
    if value is None:
        return "–"
    return "0" if value == 0 else f"{value:.1e}"


def _exports(spec: AttentionSpec) -> str:
    """Which ways out of PyTorch were tried, where a record says so."""
    backbones = records.read("exportable.json").get("rows", {})
    rows = [
        (code(backbone), way, plain(refused) or "works")
        for backbone, found in backbones.items()
        for way, refused in found.get(spec.name, {}).items()
    ]
    return f"\n\n{table(('in', 'way', 'result'), rows)}" if rows else ""


def _notes(spec: AttentionSpec) -> str:
    notes = spec.provenance.notes
    return f"## Departures and choices\n\n<p>{words(notes)}</p>" if notes else ""


def _origins(spec: AttentionSpec, registry: Registry) -> str:
    found = spec.provenance.paper
    others = sorted(registry.attentions.values(), key=lambda s: s.name)
    same_paper = [s for s in others if s is not spec and found and s.provenance.paper == found]
    family = [s for s in others if s is not spec and s.family == spec.family]
    with_weights = [f'<a href="../../networks/{n}/">{code(n)}</a>' for n in trained(spec, registry)]
    lines = [
        ("Paper", paper(found)),
        ("Other names", ", ".join(map(code, spec.aliases))),
        ("Weights", ", ".join(with_weights)),
        ("Of the same paper", _links(same_paper)),
        (f"Of the same family, {spaced(spec.family)}", _links(family)),
        ("Code", code(spec.target)),
    ]
    items = "".join(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in lines if v)
    return f"<dl>{items}</dl>"


def _links(specs: Sequence[AttentionSpec]) -> str:
    return ", ".join(f'<a href="../{s.name}/">{code(s.name)}</a>' for s in specs)
