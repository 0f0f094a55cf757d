"""Learning from the answers of a trained model."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.build.create import create_model
from zoo.data.preprocessing import Preprocessing
from zoo.data.vocabulary import lookup, model_classes
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
        answers = self._answers(images)
        heat, weight = self.settings.temperature, self.settings.weight
        learned = heat**2 * F.kl_div(
            F.log_softmax(logits / heat, -1), F.log_softmax(answers / heat, -1),
            reduction="batchmean", log_target=True,
        )  # fmt: skip
        loss = (1 - weight) * self.objective.loss(logits, targets) + weight * learned
        wrong = 100 * errors(logits, targets) / len(targets)
        return loss, {"train_error": wrong, "distillation": learned.detach()}

    @torch.no_grad()
    def _answers(self, images: Tensor) -> Tensor:
        """The teacher's logits of images as the student takes them."""
        factor, shift = self.factor.to(images.device), self.shift.to(images.device)
        try:
            return self.teacher(images * factor + shift).float()
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, AssertionError) as error:  # torch raises one, timm the other
            raise RecipeError(
                f"the teacher {self.settings.teacher} cannot take the images of the student, "
                f"{tuple(images.shape[1:])}: {error}",
                where="distill.teacher",
                remedy="a teacher of as many channels that takes this size, or another images.size",
            ) from error


def distilled(
    objective: object, model: nn.Module, settings: Distill, device: torch.device
) -> Distilled:
    """Wrap an objective with the teacher that a recipe names.

    Raises:
        RecipeError: the model has an objective of its own, or the teacher has other classes, by
            their number or by their names.
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
    _check_names(settings.teacher, teacher, model)
    teacher.requires_grad_(False).eval().to(device)
    return Distilled(objective, teacher, settings, Preprocessing.of(model))


def _check_names(name: str, teacher: nn.Module, model: nn.Module) -> None:
    """Refuse a teacher that names its classes otherwise, or in another order; names may be absent.

    Case and spelling do not matter, and a WordNet id is what it means, as in `zoo eval`.
    """
    own, its = model_classes(model), model_classes(teacher)
    if not own.names or not its.names:
        return
    found = lookup(list(own.names.values()), its.names, its.descriptions)
    wrong = [own.names[i] for i, place in zip(own.names, found, strict=True) if i != place]
    if wrong:
        raise RecipeError(
            f"the teacher {name} has other classes than the data, or another order of them: "
            f"{', '.join(wrong[:5])}",
            where="distill.teacher",
            remedy="train the teacher on the same data first, and name the folder of its run",
        )
