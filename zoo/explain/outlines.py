"""What a spatial transformer samples of an image: its outline, drawn on the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn

from zoo.explain.canvas import CAPTION, GAP, SIDE, colour, enlarged

MARGIN = SIDE // 4  # an outline may leave the image


def can_outline(model: nn.Module) -> bool:
    """Whether a model says what it samples: `outlines(images) -> (T, B, points, 2)`."""
    return callable(getattr(model, "outlines", None))


def draw(pixels: NDArray[np.uint8], outlines: Tensor, captions: Sequence[str] = ()) -> Image.Image:
    """The picture of uint8 images (B, H, W, C) side by side, with their outlines.

    Args:
        outlines: (T, B, points, 2), closed polygons of (x, y), where -1 and 1 are the edges of the
            image. The first of T transformers is yellow, the last is red.
        captions: a line below each image.
    """
    cell = SIDE + 2 * MARGIN
    sheet = Image.new("RGB", (len(pixels) * (cell + GAP) + GAP, cell + CAPTION + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for i, image in enumerate(pixels):
        left = GAP + i * (cell + GAP)
        picture = enlarged(image, sharp=True)
        pen.rectangle((left, 0, left + cell, cell), fill=(225, 225, 225))
        sheet.paste(picture, (left + MARGIN, MARGIN))
        for t, polygon in enumerate(outlines[:, i].tolist()):
            points = [_place(xy, picture.size, left) for xy in polygon]
            pen.line([*points, points[0]], fill=colour(t, len(outlines)), width=3)
        if captions:
            pen.text((left, cell + 2), captions[i], fill="black")
    return sheet


def _place(xy: Sequence[float], size: tuple[int, int], left: int) -> tuple[float, float]:
    x, y = ((v + 1) / 2 * n for v, n in zip(xy, size, strict=True))
    return left + MARGIN + x, MARGIN + y
