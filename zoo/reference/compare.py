"""Tolerances: what counts as the same number in float32."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

OUTPUT_TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 1e-4


@dataclass(slots=True)
class Comparison:
    """Collects differences: the largest one, and the first one that is not allowed."""

    largest: float | None = None
    reason: str = field(default="")

    def add(self, what: str, ours: Tensor, theirs: Tensor, tolerance: float) -> None:
        """Compare one tensor: |ours - theirs| <= tolerance * max(1, |theirs|max)."""
        if ours.shape != theirs.shape:
            self.refuse(f"{what} has shape {list(ours.shape)}, not {list(theirs.shape)}")
            return
        ours, theirs = ours.detach().cpu().double(), theirs.double()
        difference = torch.where(ours == theirs, 0.0, (ours - theirs).abs())  # equal infinities
        finite = theirs[theirs.isfinite()]
        scale = max(1.0, float(finite.abs().max()) if finite.numel() else 0.0)
        self.number(what, float(difference.max()) if difference.numel() else 0.0, tolerance * scale)

    def number(self, what: str, difference: float, allowed: float) -> None:
        """Record one difference; NaN is never allowed, and counts as the largest."""
        if self.largest is None or not difference <= self.largest:
            self.largest = difference
        if not difference <= allowed:
            self.refuse(f"{what} differs by {difference:.3g}, allowed {allowed:.3g}")

    def refuse(self, reason: str) -> None:
        """The comparison has failed; the first reason is kept."""
        self.reason = self.reason or reason
