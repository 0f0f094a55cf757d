"""The optimizer of a recipe and the schedule of its rate."""

from __future__ import annotations

import math
from typing import Any

import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import nn

from zoo.errors import RecipeError
from zoo.recipes import Recipe
from zoo.training.parts import new_parts


def build_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimizer of timm's that a recipe names, over the parameters that are trained.

    Raises:
        RecipeError: there is none of that name, or it cannot be built so.
    """
    settings = recipe.optimizer
    more: dict[str, Any] = {"fused": True} if settings.fused else {}
    if settings.layer_decay:
        more["layer_decay"] = settings.layer_decay
    try:
        optimizer = create_optimizer_v2(
            model, opt=settings.name, lr=settings.lr, weight_decay=settings.weight_decay, **more
        )
    except (ValueError, TypeError, RuntimeError) as error:
        raise RecipeError(
            f"optimizer {settings.name!r} cannot be built: {error}",
            where=f"recipe of {recipe.model}",
            remedy='name = "adamw", or another of timm.optim.list_optimizers()',
        ) from error
    scales = {"attention": settings.attention_scale, "classifier": settings.classifier_scale}
    for part, parameters in new_parts(model).items():
        if scales[part] != 1:
            _scale(optimizer, {id(p) for p in parameters}, scales[part])
    return optimizer


def _scale(optimizer: torch.optim.Optimizer, chosen: set[int], scale: float) -> None:
    """Give some parameters groups of their own, in which timm's schedules multiply the rate."""
    groups: list[dict[str, Any]] = []
    for group in optimizer.param_groups:
        own = [p for p in group["params"] if id(p) in chosen]
        rest = [p for p in group["params"] if id(p) not in chosen]
        factor = group.get("lr_scale", 1.0)
        groups += [{**group, "params": rest}] if rest else []
        groups += [{**group, "params": own, "lr_scale": factor * scale}] if own else []
    optimizer.param_groups[:] = groups


def build_schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, total_steps: int) -> Any:
    """A schedule of timm's, one cycle, or a rate that falls in steps. `step()` follows each step.

    Raises:
        RecipeError: timm has no schedule of that name, or it cannot be built so.
    """
    schedules, settings = torch.optim.lr_scheduler, recipe.optimizer
    if recipe.schedule:
        return TimmSchedule(optimizer, recipe, total_steps)
    if settings.drops:
        milestones = [round(share * total_steps) for share in settings.drops]
        return schedules.MultiStepLR(optimizer, milestones, gamma=0.1)
    warmup, cycled = settings.warmup, {"momentum", "betas"} & optimizer.defaults.keys()
    if math.isclose(warmup * total_steps, 1):  # PyTorch would divide by zero
        warmup += 1e-6
    return schedules.OneCycleLR(
        optimizer, settings.lr, total_steps=total_steps, pct_start=warmup,
        cycle_momentum=bool(cycled),
    )  # fmt: skip


class TimmSchedule:
    """A schedule of timm's by the step. Its state is no more than how many steps were taken."""

    def __init__(self, optimizer: torch.optim.Optimizer, recipe: Recipe, total_steps: int) -> None:
        settings = recipe.schedule
        assert settings is not None
        try:
            found, _ = create_scheduler_v2(
                optimizer, sched=settings.name, num_epochs=recipe.epochs, min_lr=settings.min_lr,
                warmup_epochs=settings.warmup_epochs,  # pyright: ignore[reportArgumentType]
                warmup_lr=settings.warmup_lr, step_on_epochs=False,
                updates_per_epoch=total_steps // recipe.epochs,
            )  # fmt: skip
        except (ValueError, AssertionError) as error:
            raise RecipeError(
                f"schedule {settings.name!r} cannot be built: {error}",
                where=f"recipe of {recipe.model}",
                remedy='name = "cosine", or tanh, poly, constant, wsd, rsqrt',
            ) from error
        if found is None:
            raise RecipeError("schedule.name = 'none' is no schedule", remedy='name = "constant"')
        self._schedule, self._steps = found, 0
        found.step_update(0)

    def step(self) -> None:
        self._steps += 1
        self._schedule.step_update(self._steps)

    def state_dict(self) -> dict[str, int]:
        return {"steps": self._steps}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._steps = state["steps"]
        self._schedule.step_update(self._steps)
