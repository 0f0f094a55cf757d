"""Learning from the answers of a trained model."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.build.create import create_model
from zoo.data.preprocessing import Preprocessing
from zoo.errors import RecipeError
from zoo.recipes import Distill
from zoo.training.objective import CrossEntropy, errors


class Distilled:
    """An objective together with the answers of a teacher; see `Distill` for the loss."""

    def __init__(
        self, objective: CrossEntropy, teacher: nn.Module, settings: Distill, input: Preprocessing
    ) -> None:
        self.objective, self.teacher, self.settings = objective, teacher, settings
        self.wrong = objective.wrong
        own = Preprocessing.of(teacher)
        mean, std, its_mean, its_std = (
            torch.tensor(v).view(1, -1, 1, 1) for v in (input.mean, input.std, own.mean, own.std)
        )
        # The teacher has its own normalisation: x std + mean is the image in [0, 1].
        self.factor, self.shift = std / its_std, (mean - its_mean) / its_std

    def __call__(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        logits = self.objective.model(images).float()
        with torch.no_grad():
            factor, shift = self.factor.to(images.device), self.shift.to(images.device)
            answers = self.teacher(images * factor + shift).float()
        heat, weight = self.settings.temperature, self.settings.weight
        learned = heat**2 * F.kl_div(
            F.log_softmax(logits / heat, -1), F.log_softmax(answers / heat, -1),
            reduction="batchmean", log_target=True,
        )  # fmt: skip
        loss = (1 - weight) * self.objective.loss(logits, targets) + weight * learned
        wrong = 100 * errors(logits, targets) / len(targets)
        return loss, {"train_error": wrong, "distillation": learned.detach()}


def distilled(
    objective: object, model: nn.Module, settings: Distill, device: torch.device
) -> Distilled:
    """Wrap an objective with the teacher that a recipe names.

    Raises:
        RecipeError: the model has an objective of its own, or the teacher has other classes.
    """
    if not isinstance(objective, CrossEntropy):
        raise RecipeError(
            f"{type(model).__name__} has an objective of its own, which no teacher goes with",
            where="distill",
        )
    teacher = create_model(settings.teacher, pretrained=True)
    own, its = (getattr(m, "num_classes", None) for m in (model, teacher))
    if own != its:
        raise RecipeError(
            f"the teacher {settings.teacher} has {its} classes and the model {own}",
            where="distill.teacher",
            remedy="train the teacher on the same data first, and name the folder of its run",
        )
    teacher.requires_grad_(False).eval().to(device)
    return Distilled(objective, teacher, settings, Preprocessing.of(model))
