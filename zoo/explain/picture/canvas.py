"""What all pictures share: sizes, colours, enlarging an image, writing a file as a whole."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.errors import UsageError
from zoo.runtime.files import write_atomically

SIDE, GAP, CAPTION = 168, 8, 16  # pixels of the picture
FRAME_TIME = 600  # milliseconds
FORMATS = {
    ".png": "PNG", ".gif": "GIF", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".pdf": "PDF",
}  # fmt: skip
_FIRST, _LAST = (255, 196, 0), (214, 39, 40)  # colours of the first and the last of a row


def rgb(pixels: NDArray[np.uint8]) -> Image.Image:
    """uint8 (H, W, 1 or 3) as a picture of the same size."""
    grey = pixels.shape[-1] == 1
    return Image.fromarray(pixels[..., 0] if grey else pixels).convert("RGB")


def enlarged(pixels: NDArray[np.uint8], *, sharp: bool = False) -> Image.Image:
    """The image with its longer side at `SIDE`. `sharp` shows the single pixels."""
    image = rgb(pixels)
    zoom = SIDE / max(image.size)
    width, height = (max(1, round(n * zoom)) for n in image.size)
    way = Image.Resampling.NEAREST if sharp else Image.Resampling.BICUBIC
    return image.resize((width, height), way)


def colour(step: int, steps: int) -> tuple[int, int, int]:
    """The colour of a step, from yellow for the first to red for the last."""
    part = step / max(1, steps - 1)
    r, g, b = (round(a + part * (z - a)) for a, z in zip(_FIRST, _LAST, strict=True))
    return r, g, b


def save(picture: Image.Image | Sequence[Image.Image], file: str | os.PathLike[str]) -> None:
    """Write a picture, as a whole or not at all. The ending of the name says the format.

    Of several frames, a GIF shows one after the other, and every other format the last.
    """
    frames = [picture] if isinstance(picture, Image.Image) else list(picture)
    kind, buffer = picture_format(file), io.BytesIO()
    if kind == "GIF":
        first, *rest = frames
        first.save(
            buffer, format=kind, save_all=True, append_images=rest, duration=FRAME_TIME, loop=0
        )
    else:
        frames[-1].save(buffer, format=kind)
    write_atomically(Path(file).expanduser(), buffer.getvalue())


def picture_format(file: str | os.PathLike[str]) -> str:
    """PIL's name of the format that a file's ending means."""
    ending = Path(file).suffix.lower()
    if ending not in FORMATS:
        raise UsageError(
            f"{os.fspath(file)}: {ending or 'no ending'} is no picture format",
            remedy=f"a name that ends in {' '.join(FORMATS)}",
        )
    return FORMATS[ending]
