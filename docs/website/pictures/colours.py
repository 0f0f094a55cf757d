"""Numbers as colours, each with the scale that says which number is which colour."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from PIL import Image
from torch import Tensor

FLAT = 0.02  # a map that varies less than this, of its largest value, is painted as one colour
STEPS = 9


@dataclass(frozen=True, slots=True)
class Scale:
    """The numbers of the first and the last colour."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Tensor) -> Scale:
        """One scale for all that is shown together. What hardly varies is not blown up."""
        low, high = (float(v) for v in values.aminmax())
        room = FLAT * max(abs(low), abs(high), 1e-12)
        if high - low < room:
            middle = (low + high) / 2
            low, high = middle - room * 2, middle + room * 2
        return cls(low, high)

    def colours(self, values: Tensor) -> np.ndarray:
        """(H, W) -> (H, W, 3), uint8."""
        share = (values.numpy() - self.low) / (self.high - self.low)
        return (colormaps["viridis"](np.clip(share, 0, 1))[..., :3] * 255).round().astype(np.uint8)


def css() -> str:
    """The colours from the least to the largest number, for a style sheet."""
    stops = (colormaps["viridis"](i / (STEPS - 1))[:3] for i in range(STEPS))
    shown = ", ".join("#" + "".join(f"{round(255 * c):02x}" for c in stop) for stop in stops)
    return f"linear-gradient(to right, {shown})"


def is_flat(values: Tensor) -> bool:
    """Whether the numbers are a constant, but for a hair."""
    low, high = (float(v) for v in values.aminmax())
    return high - low < FLAT * max(abs(low), abs(high), 1e-12)


def save(values: Tensor, scale: Scale, file: Path) -> None:
    """A map (H, W) as a PNG of as many pixels; the page enlarges it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scale.colours(values)).save(file, optimize=True)
