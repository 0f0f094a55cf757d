"""Digits of real fonts, as small masks: the fonts that come with matplotlib."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from zoo.errors import DataError

SIDE = 32  # each digit's ink is stretched to a square mask of so many pixels
_HEIGHT = 96  # pixels, at which digits are first drawn
_FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique",
    "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSerif",
    "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic", "STIXGeneral",
    "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta", "cmr10", "cmb10", "cmss10",
    "cmtt10",
)  # fmt: skip


class Glyphs(NamedTuple):
    """masks: uint8 (fonts * 10, SIDE, SIDE), ink 255; widths: float64 (fonts * 10,), per height."""

    masks: Tensor
    widths: Tensor


@cache
def load_glyphs() -> Glyphs:
    """All digits of all fonts; digit d of font f is at 10 f + d.

    Raises:
        DataError: matplotlib is not installed.
    """
    folder = _folder()
    drawn = [_draw(_font(folder, name), str(d)) for name in _FONTS for d in range(10)]
    squares = [ink.resize((SIDE, SIDE), Image.Resampling.BOX) for ink in drawn]
    masks = torch.from_numpy(np.stack([np.array(square, np.uint8) for square in squares]))
    widths = torch.tensor([ink.width / ink.height for ink in drawn], dtype=torch.float64)
    return Glyphs(masks, widths)


def _folder() -> Path:
    try:
        import matplotlib
    except ImportError as error:
        raise DataError(
            "synthetic house numbers are drawn with the fonts of matplotlib, which is absent",
            remedy="pip install 'attention-zoo[viz]'",
        ) from error
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def _font(folder: Path, name: str) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(str(folder / f"{name}.ttf"), _HEIGHT)
    except OSError as error:
        raise DataError(
            f"the font {name} cannot be read",
            where=str(folder),
            remedy="pip install --force-reinstall matplotlib",
        ) from error


def _draw(font: ImageFont.FreeTypeFont, text: str) -> Image.Image:
    """The ink of `text`, without any border."""
    canvas = Image.new("L", (2 * _HEIGHT, 2 * _HEIGHT))
    ImageDraw.Draw(canvas).text((_HEIGHT // 2, _HEIGHT // 2), text, fill=255, font=font)
    return canvas.crop(canvas.getbbox())
