"""The picture of explanations: the photograph, its classes, and each map with its scale.

A map stands twice. Above it lies over the photograph, in grey: where nothing is said or done it
is transparent. Below are its own cells, not interpolated, in the colours of the bar. A map whose
values differ by less than a step of its scale is drawn in one colour, and its title says so.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.errors import UsageError
from zoo.explain import glimpses
from zoo.explain.canvas import picture_format, rgb
from zoo.explain.canvas import save as save_frames
from zoo.explain.record import Explanation, Map, number
from zoo.runtime.files import write_atomically

CELL, LINE = 2.3, 0.13  # inches: the side of a panel, and a line of small text
COLUMNS = 6
TEXT = 36  # letters in a line below or above a panel
SIDE = 640  # pixels of the photograph as it is drawn
STRONGEST = 0.8  # opacity of a map over the photograph
SMALL = 7.0  # points
FIRST, LAST = (1.0, 0.77, 0.0), (0.84, 0.15, 0.16)  # colours of the first and the last in time
SEQUENTIAL, DIVERGING = "inferno", "RdBu_r"


@dataclass(frozen=True, slots=True)
class Panel:
    """A column of the figure: what is above, what is below, and what is said of it."""

    above: Callable[[Any], object]
    below: Callable[[Any], object]
    title: str


def figure(explanations: Sequence[Explanation]) -> Any:
    """A `matplotlib.figure.Figure` with a block for each explanation.

    Raises:
        UsageError: matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    blocks = [_panels(each) for each in explanations]
    columns = min(COLUMNS, max(map(len, blocks)))
    heights = [
        _height(block, each, columns) for block, each in zip(blocks, explanations, strict=True)
    ]
    whole = Figure(figsize=(columns * CELL + 0.2, sum(heights)), layout="constrained")
    parts = whole.subfigures(len(blocks), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, block, each in zip(parts, blocks, explanations, strict=True):
        _draw_block(part, block, each, columns)
    return whole


def check_matplotlib() -> None:
    """Matplotlib can be imported.

    Raises:
        UsageError: it cannot, with what installs it.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"pictures of explanations are drawn by matplotlib, which cannot be imported: {error}",
            remedy="pip install 'attention-zoo[viz]'; the arrays of zoo.explain need it not",
        ) from error


def save(explanations: Sequence[Explanation], path: str | os.PathLike[str]) -> None:
    """Write the figure, as a whole or not at all; a gif shows glimpses one after the other.

    Raises:
        UsageError: the ending names no format; a gif of a model without glimpses; no matplotlib.
    """
    kind = kind_of(path)
    if kind == "GIF":
        return save_frames(_film(explanations, path), path)
    buffer = io.BytesIO()
    figure(explanations).savefig(buffer, format=kind.lower(), dpi=130)
    write_atomically(Path(path).expanduser(), buffer.getvalue())


def kind_of(path: str | os.PathLike[str]) -> str:
    """The format that a file's ending means: SVG, or one of `zoo.explain.canvas.FORMATS`."""
    return "SVG" if Path(path).suffix.lower() == ".svg" else picture_format(path)


def _film(explanations: Sequence[Explanation], path: Any) -> list[Image.Image]:
    paths = [each.glimpses for each in explanations]
    if any(path is None for path in paths):
        raise UsageError(
            f"{os.fspath(path)}: only glimpses, which follow each other, make a film",
            remedy="a name that ends in .png or .svg",
        )
    pixels = np.stack([each.seen for each in explanations])
    captions = [caption(each) for each in explanations]
    return glimpses.frames(pixels, glimpses.joined([p for p in paths if p is not None]), captions)


def caption(each: Explanation) -> str:
    """What the model says of an image, in a line."""
    if each.text:
        return f"reads {each.text}"
    top = next(iter(each.predictions), None)
    return f"{top.name}, {100 * top.probability:.0f}%" if top else ""


def _height(block: Sequence[Panel], each: Explanation, columns: int) -> float:
    """Inches: rows of panels with the longest text of each, and the remarks."""
    rows = -(-len(block) // columns)
    titles = max(_lines(panel.title) for panel in block)
    head = 2 + sum(len(wrap(r, TEXT * columns)) for r in each.remarks)
    return rows * (CELL * sum(_ratios(each)) + titles * LINE + 0.35) + head * LINE + 0.15


def _ratios(each: Explanation) -> tuple[float, float]:
    """The heights of the upper and the lower row, in widths of a panel."""
    rows, columns = each.frame.size
    above = 1.0 if each.glimpses is not None else min(1.5, max(0.5, rows / columns))
    return above, 0.3 * len(each.glimpses.sides) if each.glimpses is not None else 0.62


def _lines(text: str) -> int:
    return text.count("\n") + 1


def _draw_block(part: Any, block: Sequence[Panel], each: Explanation, columns: int) -> None:
    lines = -(-len(block) // columns)
    ratios = [*_ratios(each)] * lines
    axes = part.subplots(2 * lines, columns, squeeze=False, height_ratios=ratios)
    for axis in axes.flat:
        axis.set_axis_off()
    for i, panel in enumerate(block):
        row, column = divmod(i, columns)
        above, below = axes[2 * row, column], axes[2 * row + 1, column]
        above.set_title(panel.title, fontsize=SMALL, linespacing=1.25)
        panel.above(above)
        panel.below(below)
    said = [f"{each.model}: {Path(each.name).name}" if each.name else each.model]
    said += [line for remark in each.remarks for line in wrap(remark, TEXT * columns)]
    part.suptitle("\n".join(said), fontsize=SMALL + 1, x=0.01, ha="left")


def _panels(each: Explanation) -> list[Panel]:
    grey = _grey(each)
    panels = [_photograph(each)]
    if each.glimpses is not None:
        panels += _glimpses(each)
    if each.resampled is not None:
        panels.append(_resampled(each))
    for one in each.maps.values():
        panels += [_map_panel(each, one, plane, grey) for plane in range(one.drawn)]
    return panels


def _photograph(each: Explanation) -> Panel:
    def above(axis: Any) -> None:
        rows, columns = each.frame.size
        axis.imshow(_shrunk(each.photograph), extent=(0, columns, rows, 0))
        if not each.frame.is_whole:
            _box(axis, each.frame.extent, "white", 2.2)
            _box(axis, each.frame.extent, "black", 0.8, linestyle="--")

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


def _glimpses(each: Explanation) -> list[Panel]:
    """The path over what the model sees, then the patches of each glimpse at all their scales."""
    path = each.glimpses
    assert path is not None
    image = rgb(each.seen)
    width, height = image.size
    points = (path.locations[:, 0].numpy() + 1) / 2 * (width, height)
    steps = len(points)

    def above(axis: Any) -> None:
        axis.imshow(np.asarray(image), extent=(0, width, height, 0), interpolation="nearest")
        axis.plot(*points.T, color=(0.35, 0.63, 1.0), linewidth=1)
        for t, (x, y) in enumerate(points):
            for side in path.sides:
                left, top = x - side / 2, y - side / 2
                _box(axis, (left, left + side, top + side, top), _time(t, steps),
                     1.2 if side == path.sides[0] else 0.5)  # fmt: skip
        axis.set(xlim=(0, width), ylim=(height, 0))

    def patches(axis: Any) -> None:
        sheet = _sheet(image, path)
        axis.imshow(sheet, interpolation="nearest")

    sides = ", ".join(f"{s} x {s}" for s in path.sides)
    title = f"{steps} glimpses, yellow to red\nat {len(path.sides)} scales: {sides} pixels"
    return [Panel(above, patches, title)]


def _sheet(image: Image.Image, path: glimpses.GlimpsePath) -> NDArray[np.uint8]:
    """The patches: a column for each glimpse, a row for each scale."""
    side, gap, steps = 48, 5, len(path.locations)
    size = (steps * (side + gap) + gap, len(path.sides) * (side + gap) + gap)
    sheet = Image.new("RGB", size, "white")
    for t, xy in enumerate(path.locations[:, 0].tolist()):
        centre = glimpses.centre_of(xy, image.size)
        for row, patch in enumerate(glimpses.patches_at(image, centre, path.sides)):
            left, top = gap + t * (side + gap), gap + row * (side + gap)
            shade = tuple(round(255 * c) for c in _time(t, steps))
            sheet.paste(shade, (left - 2, top - 2, left + side + 2, top + side + 2))
            sheet.paste(patch.resize((side, side), Image.Resampling.NEAREST), (left, top))
    return np.asarray(sheet)


def _resampled(each: Explanation) -> Panel:
    """The image with what is taken of it, and below it what comes out."""
    found = each.resampled
    assert found is not None
    image = np.asarray(rgb(each.seen))
    height, width = image.shape[:2]

    def above(axis: Any) -> None:
        axis.imshow(image, extent=(-1, 1, 1, -1), interpolation="nearest", aspect=height / width)
        for t, polygon in enumerate(found.outlines):
            x, y = np.concatenate([polygon, polygon[:1]]).T
            axis.plot(x, y, color=_time(t, len(found.outlines)), linewidth=1.5)
        reach = max(1.05, 1.05 * float(np.abs(found.outlines).max()))
        axis.set(xlim=(-reach, reach), ylim=(reach, -reach))

    def below(axis: Any) -> None:
        if found.image is not None:
            axis.imshow(np.asarray(rgb(found.image)), interpolation="nearest")

    count = len(found.outlines)
    what = "spatial transformer" if count == 1 else f"{count} spatial transformers, yellow to red"
    said = "identity: the image as it is" if found.identity else "above: what is taken of the image"
    more = "\nbelow: what it makes of that" if found.image is not None else ""
    return Panel(above, below, f"{what}\n{said}{more}")


def _grey(each: Explanation) -> NDArray[np.uint8]:
    """The photograph without its colours, so that those on it are the map's; a little lighter."""
    grey = np.asarray(Image.fromarray(_shrunk(each.photograph)).convert("L"), np.float32)
    return np.repeat((40 + grey * 0.84).astype(np.uint8)[..., None], 3, 2)


def _shrunk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE))
    return np.asarray(image)


def _box(axis: Any, extent: Any, colour: Any, width: float, **more: Any) -> None:
    left, right, bottom, top = extent
    axis.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=colour,
              linewidth=width, **more)  # fmt: skip


def _time(step: int, steps: int) -> tuple[float, float, float]:
    part = step / max(1, steps - 1)
    r, g, b = (a + part * (z - a) for a, z in zip(FIRST, LAST, strict=True))
    return r, g, b


def _end_of(path: str) -> str:
    return path if len(path) <= 24 else "..." + path[-21:]
