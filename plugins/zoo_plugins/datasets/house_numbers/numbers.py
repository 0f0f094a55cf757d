"""House numbers as training sees them: a crop, and its digits one after the other.

Labels are int64 (5,): digits 0 to 9 from left to right, then 10, which is the end and the blank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from zoo_plugins.datasets.canvases.draws import Draws

LONGEST = 5
BLANK = 10
CLASSES = 11


@dataclass(frozen=True, slots=True)
class Form:
    """How a number's box becomes an image.

    Attributes:
        size: the crop is resized to size x size pixels, whatever its shape (PIL's bilinear).
        view: what is seen of it: a random window of view x view pixels in training, the middle
            one otherwise.
        margin: the box grows by so much of its width and height, half on each side.
        mode: `"L"`, grey, or `"RGB"`.
    """

    size: int = 32
    view: int = 32
    margin: float = 0.0
    mode: str = "L"

    def cut(self, image: Image.Image, box: tuple[float, float, float, float]) -> NDArray[np.uint8]:
        """uint8 (size, size[, 3]) of the box (left, top, right, bottom), clipped to the image."""
        crop = image.crop(grown(box, self.margin, image.size)).convert(self.mode)
        resized = crop.resize((self.size, self.size), Image.Resampling.BILINEAR)
        return np.array(resized, np.uint8)

    def middle(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        start = (self.size - self.view) // 2
        return pixels[start : start + self.view, start : start + self.view]

    def windows(self, pixels: Tensor, draws: Draws | None) -> Tensor:
        """(B, C, size, size) -> (B, C, view, view), at random places or (None) the middle."""
        room = self.size - self.view
        if draws is None or not room:
            start = room // 2
            return pixels[..., start : start + self.view, start : start + self.view]
        y, x = (draws.integers(room + 1).to(pixels.device) for _ in range(2))
        steps = torch.arange(self.view, device=pixels.device)
        items = torch.arange(len(pixels), device=pixels.device)[:, None, None]
        found = pixels[items, :, (y + steps)[:, :, None], (x + steps)[:, None, :]]
        return found.permute(0, 3, 1, 2)


SEED = Form()  # 32 x 32, grey
PAPER = Form(size=64, view=54, margin=0.3)  # Goodfellow et al. 2013 and Ba et al. 2015
WHOLE = Form(size=64, view=64, margin=0.3, mode="RGB")  # Jaderberg et al. 2015


def grown(
    box: tuple[float, float, float, float], margin: float, size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The box with its margin in whole pixels, within an image of (width, height), never empty."""
    left, top, right, bottom = box
    dx, dy = margin / 2 * (right - left), margin / 2 * (bottom - top)
    ends = ((left - dx, right + dx, size[0]), (top - dy, bottom + dy, size[1]))
    (x0, x1), (y0, y1) = (_clipped(*end) for end in ends)
    return x0, y0, x1, y1


def _clipped(start: float, end: float, length: int) -> tuple[int, int]:
    first = min(max(0, round(start)), length - 1)
    return first, min(max(first + 1, round(end)), length)


def union(boxes: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) around boxes (n, 4) of left, top, width, height."""
    left, top = boxes[:, :2].min(0)
    right, bottom = (boxes[:, :2] + boxes[:, 2:]).max(0)
    return float(left), float(top), float(right), float(bottom)


def padded(digits: Sequence[int]) -> NDArray[np.int64]:
    """(5,): the digits, then blanks."""
    label = np.full(LONGEST, BLANK, np.int64)
    label[: len(digits)] = digits
    return label
