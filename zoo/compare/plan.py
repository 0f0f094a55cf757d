"""Before a comparison starts: what its seeds can find, and how long it takes on this machine."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.compare.design import PLAIN, Comparison
from zoo.compare.folder import Folder
from zoo.compare.look import Look
from zoo.compare.results import pooled_sd, results
from zoo.compare.statistics import detectable
from zoo.training.loop import Trainer

STEPS = 4  # of training, of which the first is not counted
ROUNDS = 3
SEEDS = (3, 5, 10, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is known of a comparison before it starts.

    Attributes:
        runs, done: how many runs there are, and how many of them are finished.
        seconds: what a run of each arm takes, by its label, as timed on a few steps.
        total: what the runs that are left take, in seconds.
        split, images: what runs are measured on.
        sd: the standard deviation of a paired difference, in points; None if nobody knows it.
        tests: how many attentions are compared with the plain backbone.
        found: for each number of seeds, the difference that is found four times in five: of one
            attention alone, and of one among all. In points, or in standard deviations if these are
            not known.
    """

    runs: int
    done: int
    seconds: Mapping[str, float]
    total: float
    split: str
    images: int
    sd: float | None
    tests: int
    found: Mapping[int, tuple[float, float]]


def make_plan(
    comparison: Comparison, folder: Folder, seen: Look, *, sd: float | None, devices: int
) -> Plan:
    """Time a few steps and work out the rest.

    Args:
        sd: the standard deviation of a paired difference. By default, that of the runs that the
            folder has, if there are two seeds or more.
    """
    sd = sd if sd is not None else pooled_sd(results(folder.runs()))
    seconds = _seconds(comparison, seen)
    left = [arm.label for arm, seed in comparison.runs() if not folder.done(arm, seed)]
    runs = len(comparison.everything) * comparison.seeds
    tests = len(comparison.arms)
    return Plan(
        runs=runs, done=runs - len(left), seconds=seconds,
        total=sum(seconds[label] for label in left) / devices,
        split=seen.split, images=seen.images, sd=sd, tests=tests,
        found=_found(sd, comparison.seeds, tests),
    )  # fmt: skip


def _found(sd: float | None, seeds: int, tests: int) -> dict[int, tuple[float, float]]:
    counts = sorted({*SEEDS, seeds} - {1})
    unit = 1.0 if sd is None else sd
    return {n: (detectable(unit, n), detectable(unit, n, tests)) for n in counts}


def _seconds(comparison: Comparison, seen: Look) -> dict[str, float]:
    """What a run of each arm takes.

    A few steps of the plain backbone are timed as they will be. What an arm adds to a step is timed
    on random images.
    """
    recipe, trainer = comparison.recipe, seen.trainer
    step = _training_step(trainer)
    images = torch.rand(recipe.batch_size, *seen.size, device=trainer.device)
    train, measure = _times(seen.models, images)
    batches = _measured(comparison, seen) / recipe.batch_size
    return {
        label: seen.seconds
        + trainer.total_steps * max(0.0, step + train[label] - train[PLAIN])
        + batches * measure[label]
        for label in seen.models
    }


def _training_step(trainer: Trainer) -> float:
    times: list[float] = []
    for _ in trainer.run(min(STEPS, trainer.total_steps)):
        times.append(trainer.seconds - sum(times))
    return median(times[1:] or times)


def _measured(comparison: Comparison, seen: Look) -> float:
    """How many images a run measures: at its end, and while it chooses its best epoch."""
    recipe = comparison.recipe
    if recipe.keep != "best":
        return seen.images
    return seen.images + len(seen.trainer.held_out) * recipe.epochs / recipe.validate_every


def _times(
    models: Mapping[str, nn.Module], images: Tensor
) -> tuple[dict[str, float], dict[str, float]]:
    """The median seconds of a step forward and back, and of one forward alone, of each model."""
    train: dict[str, list[float]] = {name: [] for name in models}
    measure: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(ROUNDS):
        for name, model in models.items():
            model.to(images.device)
            train[name].append(_timed(model.train(), images, True))
            measure[name].append(_timed(model.eval(), images, False))
    return _medians(train), _medians(measure)


def _medians(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: median(each) for name, each in times.items()}


def _timed(model: nn.Module, images: Tensor, backward: bool) -> float:
    start = time.perf_counter()
    with torch.set_grad_enabled(backward):
        logits = model(images)
        if backward:
            target = torch.zeros(len(images), dtype=torch.long, device=images.device)
            F.cross_entropy(logits, target).backward()
            model.zero_grad(set_to_none=True)
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
    return time.perf_counter() - start


def text(plan: Plan, comparison: Comparison) -> str:
    """The plan as a few lines."""
    longest = max(plan.seconds, key=lambda label: plan.seconds[label])
    lines = [
        f"{plan.runs} runs: {comparison.seeds} seeds of the plain backbone and of {plan.tests} "
        f"attentions; {plan.done} are finished.",
        f"A run takes about {duration(plan.seconds[PLAIN])} (plain) to "
        f"{duration(plan.seconds[longest])} ({longest}); all that are left about "
        f"{duration(plan.total)}.",
        f"Each run is measured once, on {plan.images:,} images ({plan.split}).",
        "",
        "The true difference from the plain backbone that is found four times in five, at the 5 %",
        f"level, in {_unit(plan)}:",
        f"  {'seeds':>5}  {'one attention':>14}  {f'one of {plan.tests}':>14}",
    ]
    for seeds, (alone, among) in plan.found.items():
        mark = " <" if seeds == comparison.seeds else ""
        lines.append(f"  {seeds:>5}  {alone:>14.2f}  {among:>14.2f}{mark}")
    if comparison.seeds == 1:
        lines.append("One seed gives no interval: nothing can be concluded from it.")
    return "\n".join(lines)


def _unit(plan: Plan) -> str:
    if plan.sd is None:
        return (
            "standard deviations of a paired difference\n(not known yet: give --sd POINTS, or call "
            "this again when two seeds are finished)"
        )
    return f"percentage points, for a standard deviation of {plan.sd:.2f}"


def duration(seconds: float) -> str:
    """Such as `40 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def asdict(plan: Plan) -> dict[str, Any]:
    """The plan as JSON has it."""
    content = dataclasses.asdict(plan)
    rows = plan.found.items()
    content["found"] = [{"seeds": n, "alone": a, "among_all": b} for n, (a, b) in rows]
    content["found_in"] = "points" if plan.sd is not None else "standard deviations"
    return content
