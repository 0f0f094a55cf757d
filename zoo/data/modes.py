"""Images of every mode of Pillow as bytes. Pillow itself clips deeper images to black and white."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

_BITS_PER_SAMPLE = 258  # TIFF's tag


def to_mode(image: Image.Image, mode: str) -> Image.Image:
    """The image in `mode`, `"L"` or `"RGB"`, as Pillow converts it. Transparency is dropped.

    Grey images of 16 bits keep their high byte, as Pillow does with colours of 16 bits; those of 12
    bits likewise. Floating-point images go from 0 to 1.

    Raises:
        ValueError: the range of the values is not known: 32-bit integers, or floating-point values
            beyond 0 to 1.
    """
    if image.mode == mode:
        return image
    if image.mode.startswith("I"):
        image = _high_byte(image)
    elif image.mode == "F":
        image = _from_unit(image)
    elif image.mode in ("La", "RGBa"):  # premultiplied
        image = image.convert(image.mode.upper())
    elif image.mode == "P" and isinstance(image.info.get("transparency"), bytes):
        image = image.convert("RGBA")
    elif image.mode == "LAB":
        raise ValueError("images in LAB colours cannot be converted")
    return image.convert(mode)


def is_grey(image: Image.Image) -> bool:
    """Whether an image of any depth has no colours."""
    return image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")


def _high_byte(image: Image.Image) -> Image.Image:
    if image.mode == "I" and image.format not in ("PPM", "PNG"):  # which have 16 bits at most
        raise ValueError("the range of 32-bit integers is not known; save it with 8 or 16 bits")
    tags: Any = getattr(image, "tag_v2", {})
    bits = int(tags.get(_BITS_PER_SAMPLE, (16,))[0])
    values = np.asarray(image).astype(np.int32) >> bits - 8
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def _from_unit(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # nor where one is not a number
        raise ValueError(
            f"floating-point values from {low:g} to {high:g}, where 0 to 1 is expected; "
            "save it with 8 or 16 bits"
        )
    return Image.fromarray(np.rint(values * 255).astype(np.uint8))
