"""The labels that a data set must have for a model, and what is counted of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.base import ImageData, known_labels
from zoo.data.sequences import LabelSequence, label_classes, sequence_of
from zoo.errors import DataError, OptionError
from zoo.evaluation.metrics import Counts, SequenceTally, Tally


@dataclass(frozen=True, slots=True)
class LabelKind:
    """One of `classes` classes for each image, or a `sequence` of them."""

    classes: int
    sequence: LabelSequence | None
    data: str

    @classmethod
    def of(cls, model: nn.Module, data: ImageData) -> LabelKind:
        """The kind of labels that `model` is measured by.

        Raises:
            DataError: the data set is empty, its classes are not the model's, or its first image
                has a label of the other kind.
            OptionError: the model has no classes.
        """
        if not len(data):
            raise DataError("the data set is empty", where=data.name)
        sequence = sequence_of(model)
        _check_first(data, sequence)
        kind = cls(_classes(data, model, sequence), sequence, data.name)
        kind.check_all(data)
        return kind

    def tally(self) -> Counts:
        """A tally in which nothing is counted yet."""
        return SequenceTally(sequence=self.sequence) if self.sequence else Tally()

    def check(self, labels: Tensor, images: Sequence[int]) -> Tensor:
        """The labels of these images, (B,), or (B, L) as `LabelSequence.fit` gives them.

        Raises:
            DataError: they are of the other kind, of other classes, or do not fit.
        """
        _check_kind(labels[0], self.sequence, self.data)
        if self.sequence:
            return self.sequence.fit(labels, images, where=self.data)
        self._check_range(labels, images)
        return labels

    def check_all(self, data: ImageData) -> None:
        """Check all labels before anything is computed, where the data set has them at hand."""
        labels = None if self.sequence else known_labels(data)
        if labels is not None:
            self._check_range(torch.from_numpy(labels.astype(np.int64)), range(len(labels)))

    def _check_range(self, labels: Tensor, images: Sequence[int]) -> None:
        wrong = (labels < 0) | (labels >= self.classes)
        if wrong.any():
            at = int(wrong.nonzero()[0])
            raise DataError(
                f"image {images[at]} has label {int(labels[at])}, "
                f"and the model has classes 0 to {self.classes - 1}",
                where=self.data,
            )


def _check_first(data: ImageData, sequence: LabelSequence | None) -> None:
    """Refuse labels of the other kind before anything is computed."""
    try:
        _, label = data[0]
    except Exception:  # an image that cannot be read is named later
        return
    _check_kind(label, sequence, data.name)


def _check_kind(label: Any, sequence: LabelSequence | None, where: str) -> None:
    """One class of an image is as good as a sequence of length 1."""
    shape = tuple(np.shape(label))
    if sequence is None and shape:
        raise DataError(
            f"an image has {math.prod(shape)} labels, where one class is measured",
            where=where,
            remedy="a model that reads sequences, or a data set with one class an image",
        )
    if sequence and (len(shape) > 1 or (not shape and sequence.length > 1)):
        what = f"labels of shape {shape}" if shape else "one label"
        raise DataError(
            f"an image has {what}, where a sequence of up to {sequence.length} is measured",
            where=where,
            remedy="a data set with a sequence of classes for each image, or a classifier",
        )


def _classes(data: ImageData, model: nn.Module, sequence: LabelSequence | None) -> int:
    """The number of classes of the model's labels, which must be the data set's.

    A data set whose sequences are all of one length has no end symbol, where a model may have one.
    """
    own = label_classes(model)
    classes = data.num_classes if own is None else own
    if not classes:
        raise OptionError("the model has no classifier", remedy="create it with num_classes > 0")
    ends = sequence is not None and sequence.end is not None
    if data.num_classes not in (None, classes, classes - ends):
        raise DataError(
            f"the data set has {data.num_classes} classes and the model {classes}",
            where=data.name,
            remedy="a data set of the model's classes, or weights trained on these",
        )
    return classes
