"""What a training run minimises, and what it measures on held-out images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import timm.loss
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import RecipeError
from zoo.registry.constructor import Constructor, option_names


class Objective(Protocol):
    """What a training run minimises. It is built as `target(model, **recipe.objective)`.

    The spec of the model names the target.

    An objective that calls a method of the model other than `forward` names it in an attribute
    `calls`, and keeps the method under the same name: `calls = "rollout"`, and in the constructor
    `self.rollout = model.rollout`. A recipe's `compile` then replaces it by the compiled one.
    `calls = None` says that nothing of it can be compiled.
    """

    def __call__(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(loss, scalars to log) of a batch, when `progress` (0 to 1) of the training is done."""
        ...

    def wrong(self, model: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The names of error rates, and how many of these images each of them counts as wrong."""
        ...


class CrossEntropy:
    """Cross-entropy with label smoothing: the objective of a model that states none.

    Targets are classes int64 (B,), or shares of classes float (B, K), as Mixup makes them.
    """

    def __init__(self, model: nn.Module, *, label_smoothing: float = 0.0) -> None:
        if not 0 <= label_smoothing < 1:
            raise RecipeError(f"objective.label_smoothing = {label_smoothing} is not in [0, 1)")
        self.model, self.smoothing = model, label_smoothing

    def __call__(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if not targets.is_floating_point():
            check_single(targets)
        logits = self.model(images).float()
        return self.loss(logits, targets), {
            "train_error": 100 * errors(logits, targets) / len(targets)
        }

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets, label_smoothing=self.smoothing)

    def wrong(self, model: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return {"val_error": errors(model(images), targets)}


class BinaryCrossEntropy(CrossEntropy):
    """One binary cross-entropy for each class, and their mean (arXiv 2110.00476), as in timm.

    Shares of K classes are smoothed to (1 - s) share + s / K, as timm's Mixup smooths them.
    """

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        if targets.is_floating_point():  # timm smooths only classes that it makes shares of
            targets = (1 - self.smoothing) * targets + self.smoothing / targets.shape[-1]
        return timm.loss.BinaryCrossEntropy(smoothing=self.smoothing)(logits, targets)


def build_objective(
    target: Callable[..., Objective], model: nn.Module, options: Mapping[str, Any]
) -> Objective:
    """An objective of these options, which its constructor's annotations are checked against.

    Args:
        target: the class; its first argument is the model.
        model: to be trained.
        options: of the objective, as in `[objective]` of a recipe.

    Raises:
        OptionError: an option is unknown, of another type or out of range, or the model is not
            one that this objective is for.
    """
    constructor = Constructor(target, "objective", target.__name__)
    if unknown := constructor.unknown(options):
        raise constructor.no_option(unknown, option_names(target) - {"model"})
    return target(model, **constructor.checked(options))


def check_single(targets: Tensor) -> None:
    """Refuse sequences of labels, for an objective with one class for each image."""
    if targets.ndim != 1:
        raise RecipeError(
            f"the images have {targets.shape[1]} labels each, the model gives one class",
            where="data.name",
            remedy="data with one label an image, or a model that reads sequences",
        )


def errors(logits: Tensor, targets: Tensor) -> Tensor:
    """How many images are not given their class; of shares of classes, the largest counts."""
    if targets.is_floating_point():
        targets = targets.argmax(-1)
    return (logits.detach().argmax(-1) != targets).sum().to(torch.float32)
