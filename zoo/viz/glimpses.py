"""Where a glimpse model looked: one row an image, with the path, the windows and their patches."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn

from zoo.errors import OptionError, UsageError
from zoo.files import write_atomically

SIDE, GAP, CAPTION = 168, 8, 16  # pixels of the picture
_FIRST, _LAST = (255, 196, 0), (214, 39, 40)  # colours of the first and the last glimpse


@dataclass(frozen=True, slots=True, kw_only=True)
class GlimpsePath:
    """What `model.glimpses(images)` returns: where T glimpses of B images were taken.

    Attributes:
        locations: (T, B, 2) as (x, y) in [-1, 1]; -1 is the first pixel's edge, 1 is one past the
            last pixel.
        sides: of the square patches of one glimpse in pixels, the smallest first.
    """

    locations: Tensor
    sides: Sequence[int]


def can_show(model: nn.Module) -> bool:
    """Whether a model says where it looks: it has `glimpses(images) -> GlimpsePath`."""
    return callable(getattr(model, "glimpses", None))


def draw(pixels: NDArray[np.uint8], path: GlimpsePath, captions: Sequence[str] = ()) -> Image.Image:
    """The picture of uint8 images (B, H, W, C) and their glimpses, yellow to red in time."""
    steps, count = path.locations.shape[:2]
    if count != len(pixels):
        raise OptionError(f"glimpses of {count} images for {len(pixels)} images")
    width = GAP + (SIDE + GAP) + steps * (SIDE // 2 + GAP)
    height = GAP + count * (SIDE + CAPTION + GAP)
    sheet = Image.new("RGB", (width, height), "white")
    for row in range(count):
        top = GAP + row * (SIDE + CAPTION + GAP)
        _draw_row(sheet, top, pixels[row], path.locations[:, row], path.sides)
        if captions:
            ImageDraw.Draw(sheet).text((GAP, top + SIDE + 2), captions[row], fill="black")
    return sheet


def save(picture: Image.Image, file: str | os.PathLike[str]) -> None:
    """Write a picture, whole or not at all; the ending names the format."""
    buffer = io.BytesIO()
    picture.save(buffer, format=picture_format(file))
    write_atomically(Path(file).expanduser(), buffer.getvalue())


def picture_format(file: str | os.PathLike[str]) -> str:
    """PIL's format for a file's ending."""
    ending = Path(file).suffix.lower()
    known = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".pdf": "PDF"}
    if ending not in known:
        raise UsageError(
            f"{os.fspath(file)}: {ending or 'no ending'} is no picture format",
            remedy=f"a name that ends in {' '.join(known)}",
        )
    return known[ending]


def _draw_row(
    sheet: Image.Image, top: int, pixels: Any, locations: Tensor, sides: Sequence[int]
) -> None:
    image = _picture(pixels)
    zoom = SIDE / max(image.size)
    sheet.paste(image.resize([round(n * zoom) for n in image.size], 0), (GAP, top))
    centres = [_centre(xy, image.size) for xy in locations.tolist()]
    pen = ImageDraw.Draw(sheet)
    points = [(GAP + x * zoom, top + y * zoom) for x, y in centres]
    pen.line(points, fill=(90, 160, 255), width=2)
    for t, (x, y) in enumerate(centres):
        colour = _colour(t, len(centres))
        px, py = points[t]
        pen.ellipse((px - 3, py - 3, px + 3, py + 3), fill=colour)
        # All patches are concentric; the smallest is drawn strongest.
        for side in sides:
            left, up = x - side // 2, y - side // 2
            corner, far = (GAP + left * zoom, top + up * zoom), (left + side, up + side)
            box = (*corner, GAP + far[0] * zoom, top + far[1] * zoom)
            _rectangle(pen, box, (GAP, top, GAP + SIDE, top + SIDE), colour, side == sides[0])
        patch = _crop(image, x, y, sides[-1])
        at = (GAP + SIDE + GAP + t * (SIDE // 2 + GAP), top)
        sheet.paste(patch.resize((SIDE // 2, SIDE // 2), 0), at)
        pen.rectangle((*at, at[0] + SIDE // 2 - 1, at[1] + SIDE // 2 - 1), outline=colour, width=2)
        pen.text((at[0], at[1] + SIDE // 2 + 2), f"glimpse {t + 1}", fill="black")


def _rectangle(pen: Any, box: Any, frame: Any, colour: Any, strong: bool) -> None:
    """A window, cut off where it leaves the image."""
    x0, y0 = max(box[0], frame[0]), max(box[1], frame[1])
    x1, y1 = min(box[2], frame[2] - 1), min(box[3], frame[3] - 1)
    if x1 > x0 and y1 > y0:
        pen.rectangle((x0, y0, x1, y1), outline=colour, width=2 if strong else 1)


def _centre(location: Sequence[float], size: tuple[int, int]) -> tuple[int, int]:
    x, y = (int((v + 1) / 2 * n) for v, n in zip(location, size, strict=True))
    return x, y


def _crop(image: Image.Image, x: int, y: int, side: int) -> Image.Image:
    left, top = x - side // 2, y - side // 2
    return image.crop((left, top, left + side, top + side))  # black where it leaves the image


def _picture(pixels: Any) -> Image.Image:
    grey = pixels.shape[-1] == 1
    return Image.fromarray(pixels[..., 0] if grey else pixels).convert("RGB")


def _colour(step: int, steps: int) -> tuple[int, int, int]:
    part = step / max(1, steps - 1)
    r, g, b = (round(a + part * (z - a)) for a, z in zip(_FIRST, _LAST, strict=True))
    return r, g, b
