"""What an explanation is: predictions, and maps with what they mean, as plain arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.explain.glimpses import GlimpsePath
from zoo.explain.maps.meaning import MEANINGS, Meaning, Scale
from zoo.explain.photograph import Frame, Photograph

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEP = 1 / 256  # of a scale: a smaller difference has no colour of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A class, its name and its probability (of a segmentation, its share of the image)."""

    index: int
    name: str
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """One map over the photograph.

    Attributes:
        site: the path of the layer or the place, or the name that the model gives the map.
        kind: a key of `zoo.explain.maps.meaning.MEANINGS`: what the numbers are.
        raw: float32 (P, h, w), as it was computed. The first of the P planes is what is drawn; the
            others are heads, channels or steps.
        planes: what the planes are called.
        frame: where the map lies in the photograph.
        notes: what must be said with it (an identity start, untrained, ...).
        drawn: how many planes the figure draws; 0 of a map that only the record holds.
    """

    site: str
    kind: str
    raw: NDArray[np.float32]
    planes: tuple[str, ...]
    frame: Frame
    notes: tuple[str, ...] = ()
    drawn: int = 1

    @property
    def meaning(self) -> Meaning:
        """Of the numbers: their name, unit and scale."""
        return MEANINGS[self.kind]

    @property
    def values(self) -> NDArray[np.float32]:
        """The first plane in the photograph's frame, (H, W), NaN where the model saw nothing."""
        return self.frame.place(self.raw[0])

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest value of the first plane."""
        return self._range(0)

    @property
    def scale(self) -> Scale:
        """What the colours of a picture stand for, of all planes alike."""
        return self.meaning.scale(float(self.raw.min()), float(self.raw.max()))

    @property
    def neutral(self) -> float:
        """The value of the scale at which nothing is said or done."""
        return self.scale.neutral or 0.0

    @property
    def diverging(self) -> bool:
        """Whether both sides of the neutral value have colours of their own."""
        return self.meaning.diverging or self.scale.low < 0

    @property
    def constant(self) -> bool:
        """Whether the first plane varies less than a step of its scale: it has one colour."""
        return self.single(0)

    def single(self, plane: int) -> bool:
        """Whether a plane has one colour."""
        low, high = self._range(plane)
        return high - low <= STEP * (self.scale.high - self.scale.low)

    def said(self, plane: int = 0) -> str:
        """The range of a plane, or its one value, in words."""
        low, high = (number(value) for value in self._range(plane))
        values = high if low == high else f"{low} to {high}"
        return f"{'constant ' if self.single(plane) else ''}{values}{self.meaning.unit}"

    def _range(self, plane: int) -> tuple[float, float]:
        return float(self.raw[plane].min()), float(self.raw[plane].max())

    def asdict(self) -> dict[str, Any]:
        """What `--json` writes: all but the arrays."""
        low, high = self.range
        return {
            "site": self.site, "kind": self.kind, "shape": list(self.raw.shape[1:]),
            "planes": list(self.planes), "min": low, "max": high,
            "mean": float(self.raw[0].mean()), "constant": self.constant,
            "scale": [self.scale.low, self.scale.high], "notes": list(self.notes),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampled:
    """What spatial transformers took of an image.

    Attributes:
        outlines: (T, points, 2) as (x, y) in [-1, 1] of the input; closed polygons.
        image: uint8 (h, w, C), the image as the first transformer gives it on; None if the model
            does not say.
        identity: whether they all take the image as it is.
    """

    outlines: NDArray[np.float32]
    image: NDArray[np.uint8] | None = None
    identity: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a model saw in one photograph, and what it attended to. Arrays only, no tensors.

    Attributes:
        photograph: uint8 (H, W, 3).
        seen: uint8 (h, w, C), what the model was given, before it is normalised.
        frame: where `seen` lies in the photograph.
        name: of the image; empty if it has none. model: of the model.
        predictions: the most probable classes first; empty where the model has none.
        target: the class that is explained; None where there is none.
        text: what a model reads that reads sequences; else empty.
        maps: by site, in the order of the figure.
        glimpses: where a glimpse model looked.
        resampled: what a spatial transformer took.
        remarks: what a reader must know: what could not be shown, what was assumed.
    """

    photograph: NDArray[np.uint8]
    seen: NDArray[np.uint8]
    frame: Frame
    name: str = ""
    model: str = ""
    predictions: tuple[Prediction, ...] = ()
    target: Prediction | None = None
    text: str = ""
    maps: Mapping[str, Map] = field(default_factory=dict[str, Map])
    glimpses: GlimpsePath | None = None
    resampled: Resampled | None = None
    remarks: tuple[str, ...] = ()

    def figure(self) -> Figure:
        """The picture, a `matplotlib.figure.Figure`.

        Raises:
            UsageError: matplotlib is not installed.
        """
        from zoo.explain.picture.figure import figure

        return figure([self])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture, as a whole or not at all: png, svg, pdf, jpg, webp; of a glimpse model
        a gif too, which shows one glimpse after the other.

        Raises:
            UsageError: another ending, matplotlib is not installed, or the file is the photograph.
            OSError: it cannot be written.
        """
        from zoo.explain.picture.figure import save

        save([self], path)

    def asdict(self) -> dict[str, Any]:
        """What `--json` writes: all but the arrays."""
        rows, columns = self.photograph.shape[:2]
        return {
            "image": self.name, "size": [columns, rows],
            "window": [self.frame.left, self.frame.top, self.frame.width, self.frame.height],
            "predictions": [_plain(each) for each in self.predictions],
            "target": _plain(self.target) if self.target else None,
            **({"text": self.text} if self.text else {}),
            "maps": [each.asdict() for each in self.maps.values()],
            "remarks": list(self.remarks),
        }  # fmt: skip


def photograph_fields(taken: Photograph) -> dict[str, Any]:
    """The fields of an explanation that its photograph gives."""
    return {
        "photograph": taken.pixels, "seen": taken.seen, "frame": taken.frame, "name": taken.name,
    }  # fmt: skip


def number(value: float) -> str:
    """Four digits, without an exponent where that can be."""
    text = f"{value:.4g}"
    return f"{value:.4f}".rstrip("0").rstrip(".") if 1e-3 <= abs(value) < 1 else text


def _plain(prediction: Prediction) -> dict[str, Any]:
    return {
        "index": prediction.index, "name": prediction.name, "probability": prediction.probability,
    }  # fmt: skip
