"""Manifests of weights, one TOML a file: `<model>.<tag>.toml`, in the fields of `WeightsSpec`.

The small trained weights themselves lie beside them, and the recipes that trained them in
`recipes/`. Nothing is parsed until weights are asked for, and no manifest imports anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from zoo.registry.hookspecs import hookimpl
from zoo.registry.specs import RecipeSpec, WeightsSpec
from zoo.weights.manifests import read_folder


@hookimpl
def zoo_weights() -> Iterable[WeightsSpec]:
    """Every manifest of this folder."""
    return read_folder(__path__[0])


@hookimpl
def zoo_recipes() -> Iterable[RecipeSpec]:
    """Every recipe of the folder `recipes`, by the name of its file."""
    return RecipeSpec.in_folder(__name__)
