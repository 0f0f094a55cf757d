"""Several labels read off one vector: a head for each digit and, if there is one, for the length.

Goodfellow, Bulatov, Ibarz, Arnoud, Shet, "Multi-digit Number Recognition from Street View Imagery
using Deep Convolutional Neural Networks", ICLR 2014 (arXiv 1312.6082), section 4:

    P(S = s | X) = P(L = n | X) prod_{i < n} P(S_i = s_i | X)

All heads are one linear layer, whose outputs are (length, digit 1, ..., digit N) in this order.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.data.sequences import LabelSequence
from zoo.errors import OptionError, UsageError
from zoo.sdk import AtLeast, Count, Share
from zoo_plugins.networks.baselines.classifier import FlatClassifier

OBJECTIVE = "sequence_cross_entropy"
DigitClasses: TypeAlias = Annotated[int, AtLeast(2)]


class SequenceClassifier(FlatClassifier):
    """A network with `digits` heads of `digit_classes` classes, and one for the length.

    With a class more than symbols, `digit_classes - 1` is the blank: there is no such digit. The
    last length class is "more" where there are more than `digits` + 1. With another number of
    classes than that of all heads, it is a plain classifier.
    """

    __jit_unused_properties__ = ["outputs", "targets", "label_sequence", "symbols", "has_blank"]

    if TYPE_CHECKING:  # TorchScript cannot read postponed annotations
        digits: int
        digit_classes: int
        length_classes: int

    def set_heads(self, digits: int, digit_classes: int, length_classes: int) -> int:
        """Keep the layout; returns the number of classes of all heads."""
        self.digits, self.digit_classes = digits, digit_classes
        self.length_classes = length_classes
        return self.outputs

    @property
    def outputs(self) -> int:
        """Classes of all heads together."""
        return self.length_classes + self.digits * self.digit_classes

    def heads(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, num_classes) -> of the length (B, length_classes), of the digits (B, N, K)."""
        if self.num_classes != self.outputs:
            raise UsageError(
                f"{self.num_classes} classes are not {self.length_classes} lengths and "
                f"{self.digits} digits of {self.digit_classes} classes",
                where=self.name,
                remedy=f"num_classes={self.outputs}",
            )
        length, digits = logits.split((self.length_classes, self.outputs - self.length_classes), -1)
        return length, digits.unflatten(-1, (self.digits, self.digit_classes))

    def sequence(self, image: Tensor) -> Tensor:
        """Log-probabilities (B, N, K + 1) of each place; the last class is the blank.

        Without a length head, K already has the blank, and it is the digits' log-softmax,
        (B, N, K). With one, place i is blank with P(L <= i), and digit d with P(L > i) P(S_i = d),
        whatever the digits' own blank says.
        """
        length, digits = self.heads(self(image))
        if not self.length_classes:
            return F.log_softmax(digits, -1)
        symbols = digits[..., : self.symbols]
        fewer = length.softmax(-1).cumsum(-1)[..., : self.digits].clamp(max=1.0)[..., None]
        tiny = torch.finfo(fewer.dtype).tiny
        blank, more = fewer.clamp_min(tiny).log(), (1 - fewer).clamp_min(tiny).log()
        return torch.cat((more + F.log_softmax(symbols, -1), blank), -1)

    @property
    def targets(self) -> LabelSequence:
        """What the labels are, as `sequence` reads them."""
        return LabelSequence(
            length=self.digits,
            num_classes=self.symbols + 1,
            end=self.symbols,
            each_place=True,
            option="digits",
        )

    @property
    def label_sequence(self) -> LabelSequence | None:
        """`targets`; None with another number of classes than that of all heads."""
        return self.targets if self.num_classes == self.outputs else None

    @property
    def symbols(self) -> int:
        """Classes of a digit, without the blank."""
        return self.digit_classes - self.has_blank

    @property
    def has_blank(self) -> bool:
        """Whether the digits' last class is a blank: eleven classes, or no length to tell."""
        return self.digit_classes > 10 or not self.length_classes


class SequenceCrossEntropy:
    """Cross-entropy of each head, summed: negative log-likelihood of the sequence.

    Labels are (B, L), int64, filled up with the blank; up to the model's number of digits count,
    and beyond there must be blanks only. A head without a blank learns from the digits that exist.

    Args:
        model: a `SequenceClassifier`.
        blank: label of no digit; None is the model's last digit class (10 where it has none).
        label_smoothing: of each cross-entropy.
    """

    def __init__(
        self, model: nn.Module, *, blank: Count | None = None, label_smoothing: Share = 0.0
    ) -> None:
        if not isinstance(model, SequenceClassifier):
            raise OptionError(
                f"{type(model).__name__} has no digit heads", where=f"objective {OBJECTIVE!r}"
            )
        self.model = model
        self.blank = model.symbols if blank is None else blank
        self.targets = replace(model.targets, end=self.blank)
        self.smoothing = label_smoothing

    def __call__(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        labels = self.labels(targets)
        length, digits = self.model.heads(self.model(images))
        wanted = labels if self.model.has_blank else labels.where(labels != self.blank, -100)
        loss = (
            F.cross_entropy(
                digits.flatten(0, 1),
                wanted.flatten(),
                label_smoothing=self.smoothing,
                reduction="sum",
            )
            / images.shape[0]
        )
        found = digits.detach().argmax(-1)
        wrong = ((found != labels) & (wanted >= 0)).any(1)
        if self.model.length_classes:
            count = self._lengths(targets)
            loss = loss + F.cross_entropy(length, count, label_smoothing=self.smoothing)
            wrong = wrong | (length.detach().argmax(-1) != count)
        return loss, {"train_error": 100 * wrong.float().mean()}

    def wrong(self, model: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """How many sequences are wrong: one wrong digit, missing or too many, is enough."""
        assert isinstance(model, SequenceClassifier)
        found = model.sequence(images).argmax(-1)
        found = found.where(found != model.symbols, self.blank)
        return {"val_error": self.targets.wrong(found, self.labels(targets)).sum().float()}

    def labels(self, targets: Tensor) -> Tensor:
        """(B, N) labels as the model has them.

        Raises:
            DataError: sequences are longer than the model's, or have classes that it has not.
        """
        return self.targets.fit(targets)

    def _lengths(self, targets: Tensor) -> Tensor:
        count = (targets.reshape(len(targets), -1) != self.blank).sum(1)
        return count.clamp_max(self.model.length_classes - 1)
