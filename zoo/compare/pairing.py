"""Networks that differ by their attention alone: the same start, the same images in one order."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace

import torch
from torch import nn

from zoo.compare.design import Arm
from zoo.feeding.feed import Batches, Feed
from zoo.feeding.order import Order
from zoo.recipes import Recipe
from zoo.training.prepare import Prepared, build_model


def arm_recipe(recipe: Recipe, arm: Arm, seed: int) -> Recipe:
    """The recipe of one run: that of the comparison, with the arm's attention and the seed."""
    options = dict(recipe.model_options)
    if arm.attention:
        sites = list(arm.sites) if isinstance(arm.sites, tuple) else arm.sites
        options |= {"attention": arm.attention, "attention_options": dict(arm.options)}
        options |= {} if sites is None else {"sites": sites}
    return replace(recipe, seed=seed, model_options=options)


def pair(prepared: Prepared, recipe: Recipe, seed: int) -> None:
    """Let a run start as the plain backbone's run of this seed does, and draw as it draws.

    Weights that both have under one name and in one shape get the plain backbone's values: the
    backbone and its classifier. The attention's own are drawn from the same seed. Where it takes a
    convolution's place, that convolution's weights have no counterpart.
    """
    torch.manual_seed(seed)
    classes = len(prepared.data.classes) if prepared.data else None
    plain, _ = build_model(replace(recipe, seed=seed), classes)
    trainer = prepared.trainer
    take_over(trainer.model, plain)
    if trainer.ema:
        take_over(trainer.ema.module, plain)
    trainer.feed = Seeded(trainer.feed, seed)


def take_over(model: nn.Module, plain: nn.Module) -> None:
    """Copy every tensor that both have under one name, in one shape."""
    known = plain.state_dict()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name in known and known[name].shape == tensor.shape:
                tensor.copy_(known[name])


@dataclass(frozen=True, slots=True)
class Seeded:
    """A feed before each step of which the random state follows from the seed and the step.

    An attention that draws random numbers then does not change what later steps draw: distortions
    of images, dropped paths.
    """

    feed: Feed
    seed: int

    @property
    def order(self) -> Order:
        return self.feed.order

    def batches(self, start: int, stop: int) -> Batches:
        with closing(self.feed.batches(start, stop)) as batches:
            for step, batch in enumerate(batches, start):
                torch.manual_seed(self.seed * 1_000_003 + step)
                yield batch
