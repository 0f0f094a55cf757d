"""Counts that add up exactly, whatever the number of batches and of processes."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Self

import torch
from torch import Tensor

from zoo.data.sequences import LabelSequence


@dataclass(slots=True)
class Counts:
    """What is counted of any model: images, and what could not be measured of them.

    `skipped` are (item, what it is called, why) of images that could not be read; `undefined`
    counts images with a logit that is NaN or infinite, which are wrong.
    """

    count: int = 0
    undefined: int = 0
    seconds: float = 0.0
    skipped: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])

    def __iadd__(self, other: Self) -> Self:
        """Add what another process counted at the same time."""
        for each in fields(self):
            mine, others = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, int):
                setattr(self, each.name, mine + others)
        self.seconds = max(self.seconds, other.seconds)
        self.skipped = sorted(self.skipped + other.skipped)
        return self

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch."""
        raise NotImplementedError

    def metrics(self) -> dict[str, float]:
        """In percent of what was counted, by the names that a record has."""
        raise NotImplementedError

    def rows(self) -> dict[str, str]:
        """The metrics for a reader, the first of them first."""
        raise NotImplementedError

    def note(self) -> str:
        """The first of the rows so far, for a progress bar."""
        name, text = next(iter(self.rows().items())) if self.count else ("", "")
        return f"{name} {text.partition('  ')[0]}".strip()


@dataclass(slots=True)
class Tally(Counts):
    """Of a classifier: images whose class is first, or among the first five."""

    top1: int = 0
    top5: int = 0

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: logits (B, K), labels int64 (B,), each 0 <= label < K."""
        rank, finite = rank_of(logits, labels), torch.isfinite(logits).all(1)
        self.count += len(labels)
        self.top1 += int(((rank == 0) & finite).sum())
        self.top5 += int(((rank < 5) & finite).sum())
        self.undefined += int((~finite).sum())

    def metrics(self) -> dict[str, float]:
        return {"top1": 100 * self.top1 / self.count, "top5": 100 * self.top5 / self.count}

    def rows(self) -> dict[str, str]:
        top1, top5 = self.metrics().values()
        return {"top-1": with_error(top1), "top-5": f"{top5:.2f} %"}


@dataclass(slots=True)
class SequenceTally(Counts):
    """Of a model that reads sequences: those that are right as a whole, and single labels.

    `labels` counts those up to the end of each sequence, and the end symbol where there is one;
    `right` those of them that were read rightly.
    """

    whole: int = 0
    labels: int = 0
    right: int = 0
    sequence: LabelSequence | None = None

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: (B, L, K), and labels (B, L) as `LabelSequence.fit` gives them."""
        assert self.sequence is not None
        found, finite = logits.argmax(-1), torch.isfinite(logits).all(2).all(1)
        counted = self.sequence.counted(labels)
        self.count += len(labels)
        self.whole += int((~self.sequence.wrong(found, labels) & finite).sum())
        self.labels += int(counted.sum())
        self.right += int(((found == labels) & counted & finite[:, None]).sum())
        self.undefined += int((~finite).sum())

    def metrics(self) -> dict[str, float]:
        return {
            "sequence_accuracy": 100 * self.whole / self.count,
            "label_accuracy": 100 * self.right / self.labels,
        }

    def rows(self) -> dict[str, str]:
        whole, single = self.metrics().values()
        return {"sequences": with_error(whole), "labels": f"{single:.2f} %  of {self.labels}"}


def with_error(accuracy: float) -> str:
    return f"{accuracy:.2f} %  (error {100 - accuracy:.2f} %)"


def rank_of(logits: Tensor, labels: Tensor) -> Tensor:
    """How many classes come before the right one, (B,); of equal logits the lower index is first.

    Unlike `topk`, this says the same on every device when logits are equal, and needs no fifth
    class.
    """
    own = logits.gather(1, labels[:, None])
    index = torch.arange(logits.shape[1], device=logits.device)
    before = (logits > own) | ((logits == own) & (index < labels[:, None]))
    return before.sum(1)
