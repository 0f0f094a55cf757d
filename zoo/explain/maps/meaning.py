"""What the numbers of a map mean, and the scale of colours that follows from that.

A scale never begins at the least value of a map. It has a fixed end where nothing is (zero), and
the other end is fixed (a gain goes from 0 to 2, a mask to 1), a round number that is not below the
largest value, or, of Grad-CAM, whose numbers have no unit, the largest value itself. So a map
without differences has one colour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import floor, isfinite, log10


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """From `low` to `high`; at `neutral`, if there is such a value, nothing is said or done."""

    low: float
    high: float
    neutral: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """Of the numbers of one kind of map.

    Attributes:
        title: what the map is. label: of its colour bar. unit: after a number, may be empty.
        scale: from the least and the largest value to the scale.
        diverging: whether both sides of the neutral value have colours of their own.
    """

    title: str
    label: str
    unit: str = ""
    scale: Callable[[float, float], Scale]
    diverging: bool = False


def _gain(_low: float, _high: float) -> Scale:
    return Scale(low=0.0, high=2.0, neutral=1.0)


def _unit(_low: float, _high: float) -> Scale:
    return Scale(low=0.0, high=1.0)


def _from_zero(low: float, high: float) -> Scale:
    if low < 0:
        end = rounded_up(max(-low, high))
        return Scale(low=-end, high=end, neutral=0.0)
    return Scale(low=0.0, high=rounded_up(high))


def _to_the_top(_low: float, high: float) -> Scale:
    return Scale(low=0.0, high=high if high > 0 else 1.0)


def _uniform(_low: float, high: float) -> Scale:
    return Scale(low=0.0, high=max(2.0, rounded_up(high)), neutral=1.0)


MEANINGS = {
    "cam": Meaning(title="Grad-CAM", label="evidence for the class", scale=_to_the_top),
    "mask": Meaning(title="taken out", label="share that is taken out", scale=_unit),
    "gain": Meaning(title="gain", label="output / input", scale=_gain, diverging=True),
    "strength": Meaning(title="strength", label="|output| / |input|", scale=_from_zero),
    "attention": Meaning(title="attention", label="times the uniform row", scale=_uniform),
    "rollout": Meaning(
        title="attention rollout", label="times the uniform row", scale=_uniform
    ),
    "own": Meaning(title="the model's own map", label="value", scale=_from_zero),
}  # fmt: skip


def rounded_up(value: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is not below a value; 1 for zero."""
    if not isfinite(value) or value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= value * (1 - 1e-6))
