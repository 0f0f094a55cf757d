"""Where a glimpse model looked: one row for each image, with the path, the windows, and the patches
of every scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn

from zoo.errors import OptionError
from zoo.explain.picture.canvas import CAPTION, GAP, SIDE, colour, rgb


@dataclass(frozen=True, slots=True, kw_only=True)
class GlimpsePath:
    """What `model.glimpses(images)` returns: where T glimpses of B images were taken.

    Attributes:
        locations: (T, B, 2) as (x, y) in [-1, 1]. -1 is the edge of the first pixel, 1 is one past
            the last pixel.
        sides: the sides of the square patches of one glimpse in pixels, the smallest first.
    """

    locations: Tensor
    sides: Sequence[int]


def joined(paths: Sequence[GlimpsePath]) -> GlimpsePath:
    """The paths of several images as one."""
    locations = torch.cat([path.locations for path in paths], 1)
    return GlimpsePath(locations=locations, sides=paths[0].sides)


def can_show(model: nn.Module) -> bool:
    """Whether a model says where it looks: it has `glimpses(images) -> GlimpsePath`."""
    return callable(getattr(model, "glimpses", None))


def frames(
    pixels: NDArray[np.uint8], path: GlimpsePath, captions: Sequence[str] = ()
) -> list[Image.Image]:
    """One picture after each glimpse. The last is that of `draw`."""
    steps = len(path.locations)
    return [draw(pixels, path, captions, seen=t + 1) for t in range(steps)]


def draw(
    pixels: NDArray[np.uint8],
    path: GlimpsePath,
    captions: Sequence[str] = (),
    *,
    seen: int | None = None,
) -> Image.Image:
    """The picture of uint8 images (B, H, W, C) and their glimpses, from yellow to red in time.

    Args:
        path: where the model looked.
        captions: a line below each image.
        seen: draw only so many glimpses, the first ones.
    """
    steps, count = path.locations.shape[:2]
    if count != len(pixels):
        raise OptionError(f"glimpses of {count} images for {len(pixels)} images")
    cell = _cell(path.sides) + GAP
    width = GAP + (SIDE + GAP) + steps * cell
    row_height = max(SIDE + CAPTION, CAPTION + len(path.sides) * cell) + GAP
    sheet = Image.new("RGB", (width, GAP + count * row_height), "white")
    for row in range(count):
        top = GAP + row * row_height
        _draw_row(sheet, top, pixels[row], path.locations[:seen, row], path.sides, steps)
        if captions:
            ImageDraw.Draw(sheet).text((GAP, top + SIDE + 2), captions[row], fill="black")
    return sheet


def _draw_row(
    sheet: Image.Image, top: int, pixels: Any, locations: Tensor, sides: Sequence[int], steps: int
) -> None:
    image = rgb(pixels)
    zoom = SIDE / max(image.size)
    sheet.paste(image.resize([round(n * zoom) for n in image.size], 0), (GAP, top))
    centres = [centre_of(xy, image.size) for xy in locations.tolist()]
    pen = ImageDraw.Draw(sheet)
    points = [(GAP + x * zoom, top + y * zoom) for x, y in centres]
    pen.line(points, fill=(90, 160, 255), width=2)
    for t, (x, y) in enumerate(centres):
        shade = colour(t, steps)
        px, py = points[t]
        pen.ellipse((px - 3, py - 3, px + 3, py + 3), fill=shade)
        # All patches are concentric; the smallest is drawn strongest.
        for side in sides:
            left, up = x - side // 2, y - side // 2
            corner, far = (GAP + left * zoom, top + up * zoom), (left + side, up + side)
            box = (*corner, GAP + far[0] * zoom, top + far[1] * zoom)
            _rectangle(pen, box, (GAP, top, GAP + SIDE, top + SIDE), shade, side == sides[0])
        at = (GAP + SIDE + GAP + t * (_cell(sides) + GAP), top)
        pen.text(at, f"glimpse {t + 1}", fill="black")
        _draw_patches(sheet, (at[0], at[1] + CAPTION), patches_at(image, (x, y), sides), shade)


def _draw_patches(
    sheet: Image.Image, at: tuple[int, int], patches: Sequence[Image.Image], shade: Any
) -> None:
    """The patches of one glimpse below each other, all as large, the smallest first."""
    side, pen = _cell(patches), ImageDraw.Draw(sheet)
    for scale, patch in enumerate(patches):
        left, top = at[0], at[1] + scale * (side + GAP)
        sheet.paste(patch.resize((side, side), 0), (left, top))
        pen.rectangle((left, top, left + side - 1, top + side - 1), outline=shade, width=2)


def _cell(scales: Sequence[Any]) -> int:
    """The side of a patch: two or three below each other are as high as the image."""
    return SIDE // 2 if len(scales) < 3 else SIDE // 3


def patches_at(
    image: Image.Image, centre: tuple[int, int], sides: Sequence[int]
) -> list[Image.Image]:
    """What one glimpse sees at each of its scales, black where it leaves the image.

    Each patch is reduced to the size of the first, as glimpse models see it: coarser, the wider.
    """
    size = (sides[0], sides[0])
    return [_crop(image, *centre, side).resize(size, Image.Resampling.BOX) for side in sides]


def _rectangle(pen: Any, box: Any, frame: Any, colour: Any, strong: bool) -> None:
    """A window, cut off where it leaves the image."""
    x0, y0 = max(box[0], frame[0]), max(box[1], frame[1])
    x1, y1 = min(box[2], frame[2] - 1), min(box[3], frame[3] - 1)
    if x1 > x0 and y1 > y0:
        pen.rectangle((x0, y0, x1, y1), outline=colour, width=2 if strong else 1)


def centre_of(location: Sequence[float], size: tuple[int, int]) -> tuple[int, int]:
    """The pixel (x, y) of a location in an image of (width, height)."""
    x, y = (int((v + 1) / 2 * n) for v, n in zip(location, size, strict=True))
    return x, y


def _crop(image: Image.Image, x: int, y: int, side: int) -> Image.Image:
    left, top = x - side // 2, y - side // 2
    return image.crop((left, top, left + side, top + side))  # black where it leaves the image
