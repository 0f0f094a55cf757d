"""A panel of the picture of an explanation, and what panels share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SMALL = 7.0  # points of the text in a panel
TEXT = 36  # letters in a line of it


@dataclass(frozen=True, slots=True)
class Panel:
    """A column of the figure: what is above, what is below, and what is said of it."""

    above: Callable[[Any], object]
    below: Callable[[Any], object]
    title: str


def box(axis: Any, extent: Any, colour: Any, width: float, **more: Any) -> None:
    """Draw the outline of an extent: (left, right, bottom, top)."""
    left, right, bottom, top = extent
    axis.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=colour,
              linewidth=width, **more)  # fmt: skip
