"""The whole plugin interface on one page.

A plugin is a module or an object that implements any of these hooks with `@zoo.hookimpl`, and that
an entry point in the group `zoo.plugins` names. Importing it must not import torch. Therefore specs
name their code as targets, strings of the form `"package.module:attribute"`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

from zoo.registry.specs import (
    AttentionSpec,
    BackboneSpec,
    DatasetSpec,
    ModelSpec,
    RecipeSpec,
    WeightsSpec,
)

if TYPE_CHECKING:
    import click

PROJECT = "zoo"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def zoo_attentions() -> Iterable[AttentionSpec]:  # pyright: ignore[reportReturnType]
    """Attention mechanisms, for `create_attention(name)` and `create_model(f"{name}_resnet50")`."""


@hookspec
def zoo_backbones() -> Iterable[BackboneSpec]:  # pyright: ignore[reportReturnType]
    """Backbones that timm does not have."""


@hookspec
def zoo_models() -> Iterable[ModelSpec]:  # pyright: ignore[reportReturnType]
    """Whole models with names of their own."""


@hookspec
def zoo_weights() -> Iterable[WeightsSpec]:  # pyright: ignore[reportReturnType]
    """Weights of the models of this plugin, or of any other models."""


@hookspec
def zoo_recipes() -> Iterable[RecipeSpec]:  # pyright: ignore[reportReturnType]
    """Training recipes, for `zoo train NAME`: `zoo.RecipeSpec.in_folder("my_package")`."""


@hookspec
def zoo_datasets() -> Iterable[DatasetSpec]:  # pyright: ignore[reportReturnType]
    """Data sets for `zoo eval --data NAME` and for training recipes."""


@hookspec
def zoo_commands(cli: click.Group) -> None:
    """Add commands to the `zoo` program, by `cli.add_command(...)`."""
