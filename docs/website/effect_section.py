"""What a page says and shows of the effect on a picture, with the scale and no more than is so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.registry.specs import AttentionSpec

from .drawings import Drawing
from .html import code
from .pictures import features

HEIGHT, WIDTH = 70, 224  # of a chart of channels
ALT = {"cat": "the cat", "coffee": "the cup of coffee", "rocket": "the launch of the rocket"}


def section(spec: AttentionSpec, drawing: Drawing) -> str:
    """The section as Markdown."""
    effect = drawing.effect
    if effect is None:
        return (
            "It takes more, or other things, than one map, so that there is no picture of what it "
            "does to a photograph alone."
        )
    parts = [_identity(drawing), _said(effect)]
    if effect["constant"] is None:
        parts.append(_figures(spec.name, effect))
    return "\n\n".join(filter(None, parts))


def _identity(drawing: Drawing) -> str:
    if drawing.constant is None:
        return ""
    return (
        "In a pretrained network it starts as the identity: after `init_identity()` the output is "
        f"{drawing.constant:.4g} x everywhere, which would be a picture of one colour."
    )


def _said(effect: dict[str, Any]) -> str:
    """What is shown, and of what state."""
    if effect["constant"] is not None:
        return (
            f"With its own start, in eval mode, it multiplies these features by "
            f"{effect['constant']:.4g} at every position and in every channel. That is a constant, "
            "so there is nothing to draw."
        )
    opened = ", ".join(map(code, effect["opened"]))
    state = (
        f"It starts as a constant times x, since {opened} starts at 0; for the picture it was "
        "opened (scales set to 1, weights drawn)."
        if opened
        else "It has the random start of its own (seed 0)."
    )
    return f"{_meaning(effect)} {state} Nothing here was trained."


def _meaning(effect: dict[str, Any]) -> str:
    bank = "The input is 64 fixed filters (edges, spots, colours) of a photograph."
    if effect["kind"] == "influence":
        return (
            f"{bank} Shown is where the output at the marked position comes from: the size of its "
            "gradient with respect to each position of the input, as a share of the largest. The "
            f"marked position's own influence, {effect['itself']:.3g} times that, is left out."
        )
    if effect["flat"]:
        return (
            f"{bank} It is a gate that lets every position through alike and tells channels apart: "
            "the bars are the gains y / x of the 64 channels."
        )
    return (
        f"{bank} It is a gate. Shown is its gain y / x at each position, the mean over the "
        "channels."
    )


def _figures(name: str, effect: dict[str, Any]) -> str:
    shown = [_figure(name, i, photograph, effect) for i, photograph in enumerate(features.names())]
    bar = "" if effect["flat"] else scale(effect)
    return f'<div class="effects">{"".join(shown)}</div>{bar}'


def _figure(name: str, index: int, photograph: str, effect: dict[str, Any]) -> str:
    alt = ALT[photograph]
    photo = (
        f'<img src="../../photographs/{photograph}.jpg" alt="A photograph: {alt}" width="224" '
        'height="224">'
    )
    if effect["flat"]:
        picture = bars(effect["channels"][index], effect["channels"], alt)
    else:
        mark = _mark(effect) if effect["kind"] == "influence" else ""
        picture = (
            f'<span class="map"><img class="pixels" src="../../effects/{name}-{photograph}.png" '
            f'alt="What {name} does to {alt}" width="224" height="224" loading="lazy">{mark}</span>'
        )
    return f"<figure>{photo}{picture}</figure>"


def _mark(effect: dict[str, Any]) -> str:
    row, column = effect["position"]
    top, left = (100 * (at + 0.5) / effect["size"] for at in (row, column))
    return f'<i class="mark" style="top:{top:.1f}%;left:{left:.1f}%"></i>'


def scale(effect: dict[str, Any]) -> str:
    """The colour bar with its numbers."""
    if effect["kind"] == "influence":
        ends = "0", "the largest elsewhere"
        label = "influence"
    else:
        ends = f"{effect['low']:.4g}", f"{effect['high']:.4g}"
        label = "gain, one scale for all three"
    return (
        f'<div class="scale"><span>{ends[0]}</span><span class="bar"></span><span>{ends[1]}</span>'
        f'<span class="of">{label}</span></div>'
    )


def bars(values: Sequence[float], everything: Sequence[Sequence[float]], alt: str) -> str:
    """The gains of the channels of one photograph; the axis is that of all three, from 0."""
    top = max(max(map(max, everything)), 1e-9) * 1.02
    step = WIDTH / len(values)
    drawn = "".join(
        f'<rect x="{i * step:.1f}" y="{HEIGHT - HEIGHT * max(v, 0) / top:.1f}" '
        f'width="{step * 0.75:.1f}" height="{HEIGHT * max(v, 0) / top:.1f}"/>'
        for i, v in enumerate(values)
    )
    said = f"The gains of 64 channels for {alt}, from {min(values):.4g} to {max(values):.4g}"
    return (
        f'<svg class="bars" viewBox="0 0 {WIDTH} {HEIGHT + 34}" role="img" aria-label="{said}">'
        f'<path d="M0 {HEIGHT}H{WIDTH}"/>{drawn}'
        f'<text x="0" y="{HEIGHT + 14}">axis 0 to {top:.3g}</text>'
        f'<text x="0" y="{HEIGHT + 29}">gains {min(values):.4g} to {max(values):.4g}</text></svg>'
    )
