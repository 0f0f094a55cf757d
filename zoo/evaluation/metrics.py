"""Counts that add up exactly, whatever the number of batches and processes."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(slots=True)
class Tally:
    """Images counted, and those whose class is first, or among the first five.

    `skipped` are (item, what it is called, why) of images that could not be read; `undefined`
    counts images with a logit that is NaN or infinite, which are wrong.
    """

    count: int = 0
    top1: int = 0
    top5: int = 0
    undefined: int = 0
    seconds: float = 0.0
    skipped: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: logits (B, K), labels int64 (B,), each 0 <= label < K."""
        rank, finite = rank_of(logits, labels), torch.isfinite(logits).all(1)
        self.count += len(labels)
        self.top1 += int(((rank == 0) & finite).sum())
        self.top5 += int(((rank < 5) & finite).sum())
        self.undefined += int((~finite).sum())

    def __iadd__(self, other: Tally) -> Tally:
        """Add what another process counted at the same time."""
        self.count += other.count
        self.top1 += other.top1
        self.top5 += other.top5
        self.undefined += other.undefined
        self.seconds = max(self.seconds, other.seconds)
        self.skipped = sorted(self.skipped + other.skipped)
        return self


def rank_of(logits: Tensor, labels: Tensor) -> Tensor:
    """How many classes come before the right one, (B,); of equal logits the lower index is first.

    Unlike `topk`, this says the same on every device when logits are equal, and needs no fifth
    class.
    """
    own = logits.gather(1, labels[:, None])
    index = torch.arange(logits.shape[1], device=logits.device)
    before = (logits > own) | ((logits == own) & (index < labels[:, None]))
    return before.sum(1)
