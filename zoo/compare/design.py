"""What is compared: a recipe, and the arms that are trained with it. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.recipes import Recipe

PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One network that is compared: the backbone plain, or with an attention.

    Attributes:
        label: its name in tables, which no other arm has.
        attention: the name of the mechanism; empty for the plain backbone.
        sites: where it goes, as `sites` of `zoo.create_model`; None is where its spec says.
        options: options of the mechanism.
    """

    label: str
    attention: str = ""
    sites: str | tuple[str, ...] | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def file(self) -> str:
        """Its label as the stem of a file's name."""
        return re.sub(r"[^a-z0-9_.-]+", "-", self.label.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A plain backbone and its arms, trained with one recipe from each of several seeds.

    Attributes:
        recipe: its `model` is the backbone. Its seed counts as the first of the comparison.
        arms: the networks with attention; the plain backbone is always compared as well.
        seeds: how many seeds, counted from the recipe's.
    """

    recipe: Recipe
    arms: tuple[Arm, ...]
    seeds: int

    @property
    def everything(self) -> tuple[Arm, ...]:
        """The plain backbone, then the arms."""
        return Arm(label=PLAIN), *self.arms

    def runs(self) -> Iterator[tuple[Arm, int]]:
        """Every run, all arms of a seed before the next seed: pairs are whole early."""
        for seed in range(self.recipe.seed, self.recipe.seed + self.seeds):
            yield from ((arm, seed) for arm in self.everything)
