"""Networks that differ by their attention alone: the same start for what they share."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from zoo.build.create import create_model
from zoo.compare.design import Arm
from zoo.training.recipe import Recipe


def paired_model(recipe: Recipe, arm: Arm, seed: int) -> nn.Module:
    """The network of an arm, whose backbone starts with the plain backbone's weights.

    With a seed, the backbone and its classifier have the same initial weights in every arm. The
    attention's own parameters are drawn from the same seed. Where the attention takes a
    convolution's place, that convolution's weights have no counterpart.
    """
    plain = _created(recipe, Arm(label=arm.label), seed)
    if not arm.attention:
        return plain
    model = _created(recipe, arm, seed)
    _take_over(model, plain)
    return model


def _created(recipe: Recipe, arm: Arm, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    attention: dict[str, Any] = {}
    if arm.attention:
        sites = list(arm.sites) if isinstance(arm.sites, tuple) else arm.sites
        attention = {"attention": arm.attention, "sites": sites}
        attention["attention_options"] = dict(arm.options)
    return create_model(recipe.model, **recipe.model_options, **attention)


def _take_over(model: nn.Module, plain: nn.Module) -> None:
    """Copy every tensor that both have under one name, in one shape."""
    own, known = model.state_dict(), plain.state_dict()
    with torch.no_grad():
        for name, tensor in own.items():
            if name in known and known[name].shape == tensor.shape:
                tensor.copy_(known[name])
