"""What a spatial transformer samples of an image: its outline on the image, and the result.

A model says so by `outlines(images)`, and may have `transformed(images)`, the images (B, C, H, W)
as its first transformer gives them on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn

from zoo.data.preprocessing import Preprocessing
from zoo.explain.picture.canvas import CAPTION, GAP, SIDE, colour, enlarged

MARGIN = SIDE // 4  # an outline may leave the image


def can_outline(model: nn.Module) -> bool:
    """Whether a model says what it samples: `outlines(images) -> (T, B, points, 2)`."""
    return callable(getattr(model, "outlines", None))


def resampled(model: nn.Module, x: Tensor, settings: Preprocessing) -> NDArray[np.uint8] | None:
    """uint8 (B, h, w, C): what the first transformer makes of the images; None if it does not say.

    Args:
        x: the model's input (B, C, H, W).
        settings: by which it was normalised.
    """
    transformed = getattr(model, "transformed", None)
    if not callable(transformed):
        return None
    y: Tensor = transformed(x)  # pyright: ignore[reportAssignmentType]
    shape = (1, -1, 1, 1)
    mean, std = (
        torch.tensor(v, device=y.device).view(shape) for v in (settings.mean, settings.std)
    )
    pixels = (y.float() * std + mean).mul(255).round().clamp(0, 255)
    return pixels.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def are_whole(outlines: Tensor) -> bool:
    """Whether all polygons run along the edges of the image: it is taken as it is."""
    edges = (outlines.abs().amax(-1) - 1).abs() < 1e-4
    corners = torch.cat([outlines.amin(-2), outlines.amax(-2)], -1).abs() - 1
    return bool(edges.all()) and bool((corners.abs() < 1e-4).all())


def draw(
    pixels: NDArray[np.uint8],
    outlines: Tensor,
    captions: Sequence[str] = (),
    *,
    resampled: NDArray[np.uint8] | None = None,
) -> Image.Image:
    """The picture of uint8 images (B, H, W, C) side by side, with their outlines.

    Args:
        outlines: (T, B, points, 2), closed polygons of (x, y), where -1 and 1 are the edges of the
            image. The first of T transformers is yellow, the last is red.
        captions: a line below each image.
        resampled: uint8 (B, h, w, C), drawn below each image.
    """
    cell = SIDE + 2 * MARGIN
    below = SIDE + GAP if resampled is not None else 0
    height = cell + CAPTION + GAP + below
    sheet = Image.new("RGB", (len(pixels) * (cell + GAP) + GAP, height), "white")
    pen = ImageDraw.Draw(sheet)
    for i, image in enumerate(pixels):
        left = GAP + i * (cell + GAP)
        picture = enlarged(image, sharp=True)
        pen.rectangle((left, 0, left + cell, cell), fill=(225, 225, 225))
        sheet.paste(picture, (left + MARGIN, MARGIN))
        for t, polygon in enumerate(outlines[:, i].tolist()):
            points = [_place(xy, picture.size, left) for xy in polygon]
            pen.line([*points, points[0]], fill=colour(t, len(outlines)), width=3)
        if resampled is not None:
            sheet.paste(enlarged(resampled[i], sharp=True), (left + MARGIN, cell + GAP))
        if captions:
            pen.text((left, cell + below + 2), captions[i], fill="black")
    return sheet


def _place(xy: Sequence[float], size: tuple[int, int], left: int) -> tuple[float, float]:
    x, y = ((v + 1) / 2 * n for v, n in zip(xy, size, strict=True))
    return left + MARGIN + x, MARGIN + y
