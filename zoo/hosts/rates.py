"""Rates of learning: new attention may learn faster or slower than the network around it."""

from __future__ import annotations

from math import inf
from typing import Any

from timm.optim import param_groups_weight_decay
from torch import nn

from zoo.errors import UsageError
from zoo.hosts.freeze import inserted_parameters

ATTENTION_LR_SCALE = 1.0  # what docs/warm-starts.md measures


def parameter_groups(
    model: nn.Module,
    lr: float,
    *,
    attention_lr_scale: float = ATTENTION_LR_SCALE,
    weight_decay: float = 0.0,
) -> list[dict[str, Any]]:
    """The parameters of a model in groups for an optimiser, the attention's with a rate of its own.

        optimizer = torch.optim.AdamW(zoo.parameter_groups(model, lr=1e-4, attention_lr_scale=0.1))

    Frozen parameters are left out. Where weights decay, biases, parameters of one dimension and
    those that the model's `no_weight_decay()` names do not, as timm has it. Every group states its
    `lr`, which schedulers of PyTorch and of timm start from.

    Args:
        lr: of what the model had before; more than 0.
        attention_lr_scale: the rate of the attention over `lr`; more than 0. The default, 1, is
            the rate at which warm starts are measured (docs/warm-starts.md). Without attention in
            the model it changes nothing.
        weight_decay: of those weights that decay; 0 or more.

    Raises:
        UsageError: a number out of its range.
    """
    _check(lr, attention_lr_scale, weight_decay)
    own = {id(p) for p in inserted_parameters(model)}
    named: Any = getattr(model, "no_weight_decay", set[str])()
    groups: list[dict[str, Any]] = []
    for group in param_groups_weight_decay(model, weight_decay, no_weight_decay_list=named):
        new = [p for p in group["params"] if id(p) in own]
        old = [p for p in group["params"] if id(p) not in own]
        rates = ((old, lr), (new, lr * attention_lr_scale))
        groups += [{**group, "params": some, "lr": rate} for some, rate in rates if some]
    return groups


def _check(lr: float, scale: float, weight_decay: float) -> None:
    """A rate of 0 would train nothing, without a word."""
    for name, value in (("lr", lr), ("attention_lr_scale", scale)):
        if not 0 < value < inf:
            raise UsageError(
                f"{name}={value!r} is not a finite number above 0",
                remedy="zoo.parameter_groups(model, lr=1e-4); zoo.add_attention(..., "
                'train="attention") freezes what the model had',
            )
    if not 0 <= weight_decay < inf:
        raise UsageError(
            f"weight_decay={weight_decay!r} is not a finite number of at least 0",
            remedy="zoo.parameter_groups(model, lr=1e-4, weight_decay=0.05)",
        )
