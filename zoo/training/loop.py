"""The training loop, for any model and any objective. It can be resumed at any step to the same
result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import torch
from timm.optim import create_optimizer_v2
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from zoo.errors import RecipeError
from zoo.runtime.processes import Processes
from zoo.training.augment import augment
from zoo.training.data import Images, Source
from zoo.training.objective import Objective
from zoo.training.recipe import Recipe
from zoo.training.shared import (
    average_gradients,
    average_values,
    check_parts,
    part,
    seed_step,
)

VALIDATION_BATCH = 500


class Trainer:
    """One run of a recipe: its model, its optimizer, the averaged weights, and how far it is.

    Args:
        normalise: the mean and the standard deviation of each channel. After bytes are brought to
            [0, 1], the mean is subtracted, and the result is divided by the deviation.
        processes: the place of this process among several. Each takes its part of every batch.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Module,
        objective: Objective,
        train: Source,
        held_out: Images,
        *,
        normalise: tuple[tuple[float, ...], ...] = ((0.0,), (1.0,)),
        device: torch.device | str = "cpu",
        processes: Processes | None = None,
    ) -> None:
        self.recipe, self.objective = recipe, objective
        self.processes = processes or Processes(0, 1, torch.device(device))
        check_parts(recipe.batch_size, self.processes)
        self.device = torch.device(device)
        self.format = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.model = model.to(self.device).to(memory_format=self.format)  # pyright: ignore[reportCallIssue]
        self.train, self.held_out = train.to(self.device), held_out.to(self.device)
        mean, std = (torch.tensor(v, device=self.device).view(1, -1, 1, 1) for v in normalise)
        self.mean, self.std = mean, std
        self.steps_per_epoch = len(train) // recipe.batch_size
        self.total_steps = self.steps_per_epoch * recipe.epochs
        self.optimizer = _optimizer(model, recipe)
        self.schedule = _schedule(self.optimizer, recipe, self.total_steps)
        self.ema = None
        if recipe.ema_decay:
            self.ema = ModelEmaV3(model, decay=recipe.ema_decay, use_warmup=True)
        self.step = 0
        self.seconds = 0.0
        self.sums: dict[str, Tensor] = {}
        self.curve: list[dict[str, float]] = []
        self._order = (-1, torch.empty(0))

    @property
    def epoch(self) -> int:
        """The number of whole epochs that are done."""
        return self.step // self.steps_per_epoch

    @property
    def averaged(self) -> nn.Module:
        """The weights that are measured and saved."""
        return self.ema.module if self.ema else self.model

    def run(self, limit: int | None = None) -> Iterator[dict[str, float]]:
        """Train to the end, or for `limit` steps. It yields after each step what is known then."""
        stop = self.total_steps if limit is None else min(self.total_steps, self.step + limit)
        while self.step < stop:
            start = time.perf_counter()
            self._advance(self._batch())
            self.seconds += time.perf_counter() - start
            if self.step % self.steps_per_epoch:
                yield {"step": self.step}
            else:
                yield self._end_epoch()

    def state_dict(self) -> dict[str, Any]:
        """All that decides what follows, including the random states."""
        state = {
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict() if self.ema else {},
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": torch.get_rng_state(),
            "step": self.step,
            "seconds": self.seconds,
            "sums": self.sums,
            "curve": self.curve,
        }
        if self.device.type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        if self.ema:
            self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])
        if "random_cuda" in state and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"], self.device)
        self.step, self.seconds, self.curve = state["step"], state["seconds"], state["curve"]
        self.sums = {k: v.to(self.device) for k, v in state["sums"].items()}

    def validate(self) -> dict[str, float]:
        """Error rates of the averaged weights on the held-out images, in percent."""
        if not len(self.held_out):
            return {}
        wrong: dict[str, Tensor] = {}
        model = self.averaged.eval()
        with torch.inference_mode():
            for chosen in torch.arange(len(self.held_out)).split(VALIDATION_BATCH):
                batch = self.held_out[chosen]
                found = self.objective.wrong(model, self._normalised(batch.images), batch.labels)
                wrong = {k: v + wrong.get(k, 0) for k, v in found.items()}
        return {k: 100 * float(v) / len(self.held_out) for k, v in wrong.items()}

    def _batch(self) -> Images:
        """The next training batch: each epoch's order follows from the seed and its number."""
        epoch, place = divmod(self.step, self.steps_per_epoch)
        if self._order[0] != epoch:
            generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + epoch)
            self._order = epoch, torch.randperm(len(self.train), generator=generator)
        size = self.recipe.batch_size
        index = self._order[1][place * size : (place + 1) * size]
        return self.train.batch(part(index, self.processes), epoch)

    def _advance(self, batch: Images) -> None:
        self.model.train()
        seed_step(self.recipe.seed, self.step, self.processes)
        images = self._normalised(batch.images, self.recipe.augment)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.amp):
            loss, scalars = self.objective(images, batch.labels, self.step / self.total_steps)
        self.optimizer.zero_grad()
        loss.backward()
        average_gradients(self.model.parameters(), self.processes)
        if self.recipe.optimizer.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.optimizer.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        if self.ema:
            self.ema.update(self.model, step=self.step)
        values = average_values({"loss": loss.detach(), **scalars}, self.processes)
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, torch.zeros((), device=self.device)) + value

    def _normalised(self, images: Tensor, distort: Any = None) -> Tensor:
        images = images.float() / 255
        if distort is not None:
            images = augment(images, distort)
        return ((images - self.mean) / self.std).contiguous(memory_format=self.format)

    def _end_epoch(self) -> dict[str, float]:
        row = {"epoch": float(self.epoch), "step": float(self.step)}
        row |= {k: float(v) / self.steps_per_epoch for k, v in self.sums.items()}
        if not math.isfinite(row["loss"]):
            raise RecipeError(
                f"the loss is no longer finite in epoch {self.epoch}",
                where=f"recipe of {self.recipe.model}",
                remedy="a lower optimizer.lr, or an optimizer.clip_norm",
            )
        self.sums = {}
        last = self.step == self.total_steps
        if (last or self.epoch % self.recipe.validate_every == 0) and not self.processes.rank:
            row |= self.validate()
        row["seconds"] = self.seconds
        self.curve.append(row)
        return row


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    settings = recipe.optimizer
    more: dict[str, Any] = {"fused": True} if settings.fused else {}
    try:
        return create_optimizer_v2(
            model, opt=settings.name, lr=settings.lr, weight_decay=settings.weight_decay, **more
        )
    except (ValueError, TypeError, RuntimeError) as error:
        raise RecipeError(
            f"optimizer {settings.name!r} cannot be built: {error}",
            where=f"recipe of {recipe.model}",
            remedy='name = "adamw", or another of timm.optim.list_optimizers()',
        ) from error


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, total_steps: int) -> Any:
    """One cycle, or a rate that falls in steps."""
    schedules, settings = torch.optim.lr_scheduler, recipe.optimizer
    if settings.drops:
        milestones = [round(share * total_steps) for share in settings.drops]
        return schedules.MultiStepLR(optimizer, milestones, gamma=0.1)
    warmup = settings.warmup
    if math.isclose(warmup * total_steps, 1):  # PyTorch would divide by zero
        warmup += 1e-6
    return schedules.OneCycleLR(optimizer, settings.lr, total_steps=total_steps, pct_start=warmup)
