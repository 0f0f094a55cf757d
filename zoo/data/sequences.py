"""The labels of a model that reads sequences, and when a reading is right.

Such a model has two things that evaluation, training and pictures ask for:

    label_sequence          a `LabelSequence`; None where it gives one class like any classifier
    sequence(images)        (B, C, H, W) -> logits or log-probabilities (B, L, K) of each place

Nothing else tells it from other models. The model of any plugin may have them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import DataError

PAD = torch.iinfo(torch.int64).min  # fills up a shorter label of a batch; no data has such a class


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSequence:
    """Up to L = `length` classes, each of K = `num_classes`, one after the other.

    Attributes:
        end: the class that ends a shorter sequence, one of the K. None where all sequences have L
            labels. What a model or a label says after the first end means nothing.
        each_place: whether every place is read by itself, and `end` is the blank of those that are
            empty. A digit that is read beyond the last then makes the sequence wrong, even though a
            blank comes before it.
        option: the option of the model that sets L, for messages.
    """

    length: int
    num_classes: int
    end: int | None = None
    each_place: bool = False
    option: str = "num_labels"

    def fit(
        self, labels: Tensor, images: Sequence[int] | None = None, *, where: str = ""
    ) -> Tensor:
        """Labels (B, M) or (B,), int64, in the form of the model: (B, L), filled up with the end.

        Args:
            images: the numbers of the images, for messages.
            where: what the images are from, for messages.

        Raises:
            DataError: a sequence is longer than L, or shorter where there is no end symbol; or a
                class is none of the model's.
        """
        labels = labels.reshape(len(labels), -1)
        if self.end is not None:
            labels = labels.masked_fill(labels == PAD, self.end)
        beyond = torch.arange(labels.shape[1], device=labels.device) >= self.length
        known = (labels >= 0) & (labels < self.num_classes) & ~beyond
        known |= (labels == self._end) & (beyond | (self.end is not None))
        bad = (self._matters(labels) & ~known).any(1)
        missing = max(0, self.length - labels.shape[1])
        if missing and self.end is None:
            bad = torch.ones_like(bad)
        if bool(bad.any()):
            index = int(bad.nonzero()[0])
            name = "" if images is None else f" of image {images[index]}"
            raise self._fault(labels[index].tolist(), name, where)
        return F.pad(labels, (0, missing), value=self._end)[:, : self.length]

    def counted(self, labels: Tensor) -> Tensor:
        """bool (B, L): which of the labels are up to, or are, the first end symbol."""
        ends = (labels == self._end).to(torch.int64)
        return ends.cumsum(-1) - ends == 0

    def wrong(self, found: Tensor, labels: Tensor) -> Tensor:
        """bool (..., B): which of the sequences that were read are not the labels.

        Args:
            found: classes (..., B, L).
            labels: (B, L), as `fit` gives them.
        """
        return ((found != labels) & self._matters(labels)).any(-1)

    def text(self, labels: Sequence[int]) -> str:
        """A label or a reading up to its end, for captions. `-` is a blank between others."""
        row = ["-" if label == self.end else str(label) for label in self._shown(labels)]
        return " ".join(row) or "nothing"

    @property
    def _end(self) -> int:
        return PAD if self.end is None else self.end

    def _matters(self, labels: Tensor) -> Tensor:
        return (
            torch.ones_like(labels, dtype=torch.bool) if self.each_place else self.counted(labels)
        )

    def _shown(self, labels: Sequence[int]) -> list[int]:
        """Without the end and what follows it; where each place counts, without the last blanks."""
        row = list(labels)
        if not self.each_place:
            return row[: row.index(self._end)] if self._end in row else row
        while row and row[-1] == self._end:
            row.pop()
        return row

    def _fault(self, labels: list[int], name: str, where: str) -> DataError:
        """What is wrong with a label."""
        row = self._shown(labels)
        unit = self.option.removeprefix("num_")
        if len(row) > self.length or self.end is None and len(row) < self.length:
            than = "longer" if len(row) > self.length else "shorter"
            return DataError(
                f"label {row}{name} is {than} than the model's {self.length} {unit}",
                where=where,
                remedy=f"a model of {self.option}={len(row)}",
            )
        known = {self.end, *range(self.num_classes)}
        stranger = next(label for label in row if label not in known)
        return DataError(
            f"label {row}{name}: {stranger} is none of the model's classes, "
            f"0 to {self.num_classes - 1}",
            where=where,
        )


def sequence_of(model: nn.Module) -> LabelSequence | None:
    """The sequences that the model reads; None if it gives one class."""
    found = getattr(model, "label_sequence", None)
    return found if isinstance(found, LabelSequence) else None


def seen(model: nn.Module, images: Tensor) -> list[str]:
    """What the model reads in each image, for captions: its class, or its sequence of classes."""
    sequence = sequence_of(model)
    predict: Callable[[Tensor], Tensor] = model.sequence if sequence else model  # pyright: ignore[reportAssignmentType]
    return [label_text(model, row) for row in predict(images).argmax(-1).tolist()]


def label_text(model: nn.Module, label: int | Sequence[int]) -> str:
    """A label of the model's data, for captions."""
    sequence = sequence_of(model)
    if isinstance(label, int):
        return sequence.text([label]) if sequence else str(label)
    return sequence.text(label) if sequence else " ".join(map(str, label))


def label_classes(model: nn.Module) -> int | None:
    """How many classes a label can be of; None where the model does not say."""
    sequence = sequence_of(model)
    classes = sequence.num_classes if sequence else getattr(model, "num_classes", None)
    return classes if isinstance(classes, int) else None
