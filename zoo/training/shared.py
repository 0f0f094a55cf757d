"""Several processes that train one model. Each takes its part of every batch.

The models of the zoo are not only called: objectives roll them out glimpse by glimpse. The
gradients are therefore averaged after the backward pass, rather than within the forward pass of a
wrapper.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import RecipeError
from zoo.runtime.processes import Processes


def check_parts(batch_size: int, accumulate: int, processes: Processes) -> None:
    """Refuse batches that cannot be shared out evenly."""
    if batch_size % (processes.count * accumulate):
        parts = f", each in {accumulate} parts" if accumulate > 1 else ""
        raise RecipeError(
            f"batch_size = {batch_size} cannot be shared by {processes.count} processes{parts}",
            remedy="as many processes as divide it",
        )


def seed_step(seed: int, step: int, processes: Processes) -> None:
    """Give each process and step random numbers of its own, so that nothing needs to be saved.

    One process alone keeps its stream, which its checkpoints hold.
    """
    if processes.count > 1:
        torch.manual_seed((seed * 1_000_003 + step) * 4096 + processes.rank)


def average_gradients(parameters: Iterable[nn.Parameter], processes: Processes) -> None:
    """Give all processes the mean of their gradients. An absent one counts as zero."""
    if processes.count == 1:
        return
    trained = [p for p in parameters if p.requires_grad]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    flat = _mean(torch.cat([g.flatten() for g in gradients]))
    sizes = [p.numel() for p in trained]
    for parameter, gradient in zip(trained, flat.split(sizes), strict=True):
        parameter.grad = gradient.view_as(parameter)


def average_values(values: dict[str, Tensor], processes: Processes) -> dict[str, Tensor]:
    """The mean over processes of each value."""
    if processes.count == 1 or not values:
        return values
    return dict(zip(values, _mean(torch.stack(list(values.values()))), strict=True))


def _mean(values: Tensor) -> Tensor:
    from accelerate.utils import reduce

    found: Any = reduce(values, reduction="mean")
    return found
