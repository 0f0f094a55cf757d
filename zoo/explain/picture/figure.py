"""The picture of explanations: a block for each, with the photograph, its classes and the maps."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from PIL import Image

from zoo.errors import UsageError
from zoo.explain import glimpses
from zoo.explain.picture.canvas import picture_format
from zoo.explain.picture.canvas import save as save_frames
from zoo.explain.picture.map_panels import map_panels, photograph
from zoo.explain.picture.panel import SMALL, TEXT, Panel
from zoo.explain.picture.place_panels import place_panels
from zoo.explain.record import Explanation
from zoo.runtime.files import write_atomically

CELL, LINE = 2.3, 0.13  # inches: the side of a panel, and a line of small text
COLUMNS = 6


def figure(explanations: Sequence[Explanation]) -> Any:
    """A `matplotlib.figure.Figure` with a block for each explanation.

    Raises:
        UsageError: matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    blocks = [[photograph(each), *place_panels(each), *map_panels(each)] for each in explanations]
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
        UsageError: the ending names no format; a gif of a model without glimpses; no matplotlib;
        the file is the photograph itself.
    """
    kind = kind_of(path)
    keep_photographs([path], [each.name for each in explanations])
    if kind == "GIF":
        return save_frames(_film(explanations, path), path)
    buffer = io.BytesIO()
    figure(explanations).savefig(buffer, format=kind.lower(), dpi=130)
    write_atomically(Path(path).expanduser(), buffer.getvalue())


def keep_photographs(
    pictures: Iterable[str | os.PathLike[str]], photographs: Iterable[str]
) -> None:
    """No picture would be written over a photograph that is explained.

    Raises:
        UsageError: one would.
    """
    there = [file for name in photographs if name and (file := Path(name).expanduser()).exists()]
    for path in pictures:
        file = Path(path).expanduser()
        if file.exists() and any(map(file.samefile, there)):
            raise UsageError(
                "the photograph would be overwritten by its explanation",
                where=os.fspath(path),
                remedy="another name or folder for the picture",
            )


def kind_of(path: str | os.PathLike[str]) -> str:
    """The format that a file's ending means: SVG, or one of the canvas's `FORMATS`."""
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
