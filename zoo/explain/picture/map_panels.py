"""Panels of a photograph and of the maps over it.

A map stands twice. Above it lies over the photograph, in grey: where nothing is said or done it
is transparent. Below are its own cells, not interpolated, in the colours of the bar. A map whose
values differ by less than a step of its scale is drawn in one colour, and its title says so.
"""

from __future__ import annotations

from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.explain.picture.panel import SMALL, TEXT, Panel, box
from zoo.explain.record import Explanation, Map, number

SIDE = 640  # pixels of the photograph as it is drawn
STRONGEST = 0.8  # opacity of a map over the photograph
SEQUENTIAL, DIVERGING = "inferno", "RdBu_r"


def map_panels(each: Explanation) -> list[Panel]:
    """A panel for each map, and for each plane of it."""
    grey = _grey(each)
    return [
        _map_panel(each, one, plane, grey)
        for one in each.maps.values()
        for plane in range(one.drawn)
    ]


def photograph(each: Explanation) -> Panel:
    """The panel of the image as it is, with what the model predicts."""

    def above(axis: Any) -> None:
        rows, columns = each.frame.size
        axis.imshow(_shrunk(each.photograph), extent=(0, columns, rows, 0))
        if not each.frame.is_whole:
            box(axis, each.frame.extent, "white", 2.2)
            box(axis, each.frame.extent, "black", 0.8, linestyle="--")

    def below(axis: Any) -> None:
        axis.text(0, 1, _classes(each), fontsize=SMALL + 0.5, va="top", linespacing=1.5,
                  transform=axis.transAxes)  # fmt: skip

    rows, columns = each.frame.size
    size = f"{columns} x {rows} pixels"
    cut = "" if each.frame.is_whole else "\ndashed: what the model sees"
    return Panel(above, below, size + cut)


def _classes(each: Explanation) -> str:
    """The predictions; the class that is explained is marked."""
    if each.text:
        return f"reads {each.text}"
    target = each.target if any(one.kind == "cam" for one in each.maps.values()) else None
    rows = [*each.predictions]
    if target is not None and all(target.index != p.index for p in rows):
        rows.append(target)
    lines = [
        f"{'>' if target and p.index == target.index else ' '} {100 * p.probability:5.1f}%  "
        + (wrap(p.name, 24) or [""])[0]
        for p in rows
    ]
    return "\n".join([*lines, "", "> is explained"] if target else lines)


def _map_panel(each: Explanation, one: Map, plane: int, grey: NDArray[np.uint8]) -> Panel:
    cells = one.raw[plane]
    low, high = float(cells.min()), float(cells.max())
    single = one.single(plane)
    flat = np.full_like(cells, cells.mean()) if single else cells

    def above(axis: Any) -> None:
        rows, columns = each.frame.size
        axis.imshow(grey, extent=(0, columns, rows, 0))
        axis.imshow(_layer(one, flat), extent=each.frame.extent, interpolation="bilinear")
        axis.set(xlim=(0, columns), ylim=(rows, 0))

    def below(axis: Any) -> None:
        shown = axis.imshow(
            flat, cmap=_colours(one), vmin=one.scale.low, vmax=one.scale.high,
            interpolation="nearest",
        )  # fmt: skip
        _bar(axis, shown, one, low, high)

    name = one.meaning.title if not plane else one.planes[plane]
    title = [f"{name}: {_end_of(one.site)}", one.said(plane)]
    notes = one.notes if not plane else ()
    title += [line for note in notes for line in wrap(note, TEXT)]
    return Panel(above, below, "\n".join(title))


def _bar(axis: Any, shown: Any, one: Map, low: float, high: float) -> None:
    """The colour bar, with the ends of the scale, the neutral value, and arrows where values lie
    beyond.
    """
    scale = one.scale
    beyond = {(True, True): "both", (True, False): "min", (False, True): "max"}
    extend = beyond.get((low < scale.low, high > scale.high * (1 + 1e-6)), "neither")
    ticks = [v for v in (scale.low, scale.neutral, scale.high) if v is not None]
    bar = axis.figure.colorbar(
        shown,
        ax=axis,
        orientation="horizontal",
        ticks=ticks,
        extend=extend,
        fraction=0.09,
        pad=0.05,
    )
    bar.ax.set_xticklabels([number(v) for v in ticks], fontsize=SMALL - 0.5)
    bar.set_label(one.meaning.label, fontsize=SMALL - 0.5, labelpad=0)
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(length=2, width=0.4)


def _layer(one: Map, cells: NDArray[Any]) -> NDArray[np.float64]:
    """(h, w, 4): the colours of a map, and how opaque it lies over the photograph."""
    scale = one.scale
    share = np.clip((cells - scale.low) / (scale.high - scale.low), 0, 1)
    if one.kind == "mask":  # what is taken out becomes the grey of a mean pixel
        return np.dstack([np.full((*cells.shape, 3), 0.5), share])
    layer = _colours(one)(share)
    middle = 0.0 if not one.diverging else (one.neutral - scale.low) / (scale.high - scale.low)
    layer[..., 3] = STRONGEST * np.abs(share - middle) / max(middle, 1 - middle)
    return layer


def _colours(one: Map) -> Any:
    from matplotlib import colormaps

    return colormaps[DIVERGING if one.diverging else SEQUENTIAL]


def _grey(each: Explanation) -> NDArray[np.uint8]:
    """The photograph without its colours, so that those on it are the map's; a little lighter."""
    grey = np.asarray(Image.fromarray(_shrunk(each.photograph)).convert("L"), np.float32)
    return np.repeat((40 + grey * 0.84).astype(np.uint8)[..., None], 3, 2)


def _shrunk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE))
    return np.asarray(image)


def _end_of(path: str) -> str:
    return path if len(path) <= 24 else "..." + path[-21:]
