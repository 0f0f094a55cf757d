"""The training loop, for any model and any objective. It can be resumed at any step to the same
result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from zoo.errors import RecipeError
from zoo.feeding.augment import augment
from zoo.feeding.data import Images
from zoo.feeding.feed import Feed, HeldOut
from zoo.feeding.mixing import Mixing
from zoo.recipes import Recipe
from zoo.runtime.processes import Processes
from zoo.training.objective import Objective
from zoo.training.optimizer import build_optimizer, build_schedule
from zoo.training.shared import average_gradients, average_values, check_parts, seed_step


class Trainer:
    """One run of a recipe: its model, its optimizer, the averaged weights, and how far it is.

    Args:
        feed: the batches of the run.
        held_out: what the run is measured on.
        normalise: the mean and the standard deviation of each channel. After bytes are brought to
            [0, 1], the mean is subtracted, and the result is divided by the deviation.
        mixing: what is done to the normalised images and labels of a step.
        processes: the place of this process among several. Each takes its part of every batch.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Module,
        objective: Objective,
        feed: Feed,
        held_out: HeldOut,
        *,
        normalise: tuple[tuple[float, ...], ...] = ((0.0,), (1.0,)),
        mixing: Mixing | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.recipe, self.objective = recipe, objective
        self.processes = processes or Processes(0, 1, torch.device("cpu"))
        check_parts(recipe.batch_size, recipe.accumulate, self.processes)
        self.device = self.processes.device
        self.format = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.model = model.to(self.device).to(memory_format=self.format)  # pyright: ignore[reportCallIssue]
        self.feed, self.held_out, self.mixing = feed, held_out, mixing
        mean, std = (torch.tensor(v, device=self.device).view(1, -1, 1, 1) for v in normalise)
        self.mean, self.std = mean, std
        self.steps_per_epoch = feed.order.steps_per_epoch
        self.total_steps = self.steps_per_epoch * recipe.epochs
        self.optimizer = build_optimizer(model, recipe)
        self.schedule = build_schedule(self.optimizer, recipe, self.total_steps)
        self.ema = None
        if recipe.ema_decay:
            self.ema = ModelEmaV3(model, decay=recipe.ema_decay, use_warmup=True)
        self.step = 0
        self.taken = 0  # steps of this process, without those of a checkpoint
        self.seconds = 0.0
        self.sums: dict[str, Tensor] = {}
        self.curve: list[dict[str, float]] = []
        self.best: dict[str, float] = {}

    @property
    def epoch(self) -> int:
        """The number of whole epochs that are done."""
        return self.step // self.steps_per_epoch

    @property
    def averaged(self) -> nn.Module:
        """The weights that are measured and saved."""
        return self.ema.module if self.ema else self.model

    @property
    def is_best(self) -> bool:
        """Whether the weights are now those that were best on the held-out images."""
        at_end = self.step == self.epoch * self.steps_per_epoch
        return at_end and self.best.get("epoch") == self.epoch

    def run(self, limit: int | None = None) -> Iterator[dict[str, float]]:
        """Train to the end, or for `limit` steps. It yields after each step what is known then."""
        stop = self.total_steps if limit is None else min(self.total_steps, self.step + limit)
        with closing(self.feed.batches(self.step, stop)) as batches:
            while self.step < stop:
                start = time.perf_counter()
                self._advance(next(batches).to(self.device))
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
            "best": self.best,
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
        self.best = state.get("best", {})

    def validate(self) -> dict[str, float]:
        """Error rates of the averaged weights on the held-out images, in percent."""
        wrong: dict[str, Tensor] = {}
        count, model = 0, self.averaged.eval()
        with torch.inference_mode():
            for batch in self.held_out.batches():
                batch = batch.to(self.device)
                found = self.objective.wrong(model, self._normalised(batch.images), batch.labels)
                wrong = {k: v + wrong.get(k, 0) for k, v in found.items()}
                count += len(batch)
        return {k: 100 * float(v) / count for k, v in wrong.items()}

    def _advance(self, batch: Images) -> None:
        self.model.train()
        seed_step(self.recipe.seed, self.step, self.processes)
        images, labels = self._normalised(batch.images, self.recipe.augment), batch.labels
        if self.mixing:
            images, labels = self.mixing(images, labels, self.step)
        self.optimizer.zero_grad()
        values = self._backward(images, labels)
        average_gradients(self.model.parameters(), self.processes)
        if self.recipe.optimizer.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.optimizer.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        self.taken += 1
        if self.ema:
            self.ema.update(self.model, step=self.step)
        for name, value in average_values(values, self.processes).items():
            self.sums[name] = self.sums.get(name, torch.zeros((), device=self.device)) + value

    def _backward(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Add up the gradients of the batch, part by part; the mean of loss and scalars."""
        values: dict[str, Tensor] = {}
        parts = self.recipe.accumulate
        for x, targets in zip(images.chunk(parts), labels.chunk(parts), strict=True):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.amp):
                loss, scalars = self.objective(x, targets, self.step / self.total_steps)
            (loss / parts).backward()
            for name, value in {"loss": loss.detach(), **scalars}.items():
                values[name] = values.get(name, 0) + value / parts
        return values

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
            self._compare(row)
        row["seconds"] = self.seconds
        self.curve.append(row)
        return row

    def _compare(self, row: dict[str, float]) -> None:
        """Remember the best epoch; of equal ones, the first. Without held-out images, the last."""
        error = row.get("val_error")
        if error is None:
            self.best = {"epoch": row["epoch"]}
        elif error < self.best.get("val_error", math.inf):
            self.best = {"epoch": row["epoch"], "val_error": error}
