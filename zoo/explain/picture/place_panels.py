"""Panels of the places that a model looks at: glimpses, and what is taken of the image anew."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.explain import glimpses
from zoo.explain.picture.canvas import rgb
from zoo.explain.picture.panel import Panel, box
from zoo.explain.record import Explanation, Resampled

FIRST, LAST = (1.0, 0.77, 0.0), (0.84, 0.15, 0.16)  # colours of the first and the last in time


def place_panels(each: Explanation) -> list[Panel]:
    """The panel of the glimpses and that of the transformers, as far as the model has any."""
    panels: list[Panel] = []
    if each.glimpses is not None:
        panels.append(_glimpses(each, each.glimpses))
    if each.resampled is not None:
        panels.append(_resampled(each, each.resampled))
    return panels


def _glimpses(each: Explanation, path: glimpses.GlimpsePath) -> Panel:
    """The path over what the model sees, then the patches of each glimpse at all their scales."""
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
                box(axis, (left, left + side, top + side, top), _time(t, steps),
                     1.2 if side == path.sides[0] else 0.5)  # fmt: skip
        axis.set(xlim=(0, width), ylim=(height, 0))

    def patches(axis: Any) -> None:
        axis.imshow(_sheet(image, path), interpolation="nearest")

    sides = ", ".join(f"{s} x {s}" for s in path.sides)
    title = f"{steps} glimpses, yellow to red\nat {len(path.sides)} scales: {sides} pixels"
    return Panel(above, patches, title)


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


def _resampled(each: Explanation, found: Resampled) -> Panel:
    """The image with what is taken of it, and below it what comes out."""
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


def _time(step: int, steps: int) -> tuple[float, float, float]:
    part = step / max(1, steps - 1)
    r, g, b = (a + part * (z - a) for a, z in zip(FIRST, LAST, strict=True))
    return r, g, b
