"""Which arms can be trained at all, before anything starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from zoo.compare.design import PLAIN, Arm
from zoo.compare.pairing import arm_recipe
from zoo.errors import IncompatibleBackboneError, ZooError
from zoo.recipes import Recipe
from zoo.training.prepare import build_model


def built(
    recipe: Recipe, arms: Sequence[Arm], size: tuple[int, ...], classes: int | None
) -> tuple[dict[str, nn.Module], dict[str, str]]:
    """The model of every arm that works, and of the others why not, both by their labels.

    An arm works if its model can be built and a training step on two images of this size
    (C, H, W) can be computed.

    Raises:
        ZooError: the plain backbone itself cannot be built. It is raised as it is.
    """
    models: dict[str, nn.Module] = {}
    unfit: dict[str, str] = {}
    for arm in arms:
        try:
            with torch.random.fork_rng(devices=[]):
                model, _ = build_model(arm_recipe(recipe, arm, recipe.seed), classes)
                _try(model, size)
        except (ZooError, RuntimeError, ValueError, TypeError, AssertionError) as error:
            if arm.label == PLAIN:
                raise
            unfit[arm.label] = _reason(error)
        else:
            models[arm.label] = model
    return models, unfit


def _try(model: nn.Module, size: tuple[int, ...]) -> None:
    """One step forward and back, after which the model is as it was."""
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    logits = model.train()(torch.rand(2, *size))
    F.cross_entropy(logits, torch.zeros(2, dtype=torch.long)).backward()
    model.zero_grad(set_to_none=True)
    model.load_state_dict(state)


def _reason(error: Exception) -> str:
    what = error.what if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"
    return " ".join(what.split())


def refuse(unfit: Mapping[str, str], backbone: str) -> None:
    """Raise one error that names every arm that does not work, with its reason.

    Raises:
        IncompatibleBackboneError: there is such an arm.
    """
    if not unfit:
        return
    reasons = "".join(f"\n  {label}: {reason}" for label, reason in unfit.items())
    verb = "does" if len(unfit) == 1 else "do"
    raise IncompatibleBackboneError(
        f"{', '.join(unfit)} {verb} not work in {backbone}, and nothing was started:{reasons}",
        remedy="leave out these attentions, or --skip to compare the others",
    )
