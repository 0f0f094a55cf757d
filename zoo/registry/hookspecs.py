"""The whole plugin interface on one page.

A plugin is a module (or object) that implements any of these with `@zoo.hookimpl`, and an entry
point in the group `zoo.plugins`. It must not import torch when it is imported: name targets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

from zoo.registry.specs import AttentionSpec, BackboneSpec, DatasetSpec, ModelSpec, WeightsSpec

if TYPE_CHECKING:
    import click

PROJECT = "zoo"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def zoo_attentions() -> Iterable[AttentionSpec]:  # pyright: ignore[reportReturnType]
    """Attention mechanisms: `create_attention(name)`, `create_model(f"{name}_resnet50")`."""


@hookspec
def zoo_backbones() -> Iterable[BackboneSpec]:  # pyright: ignore[reportReturnType]
    """Backbones that timm does not have."""


@hookspec
def zoo_models() -> Iterable[ModelSpec]:  # pyright: ignore[reportReturnType]
    """Whole models with names of their own."""


@hookspec
def zoo_weights() -> Iterable[WeightsSpec]:  # pyright: ignore[reportReturnType]
    """Weights of this plugin's models, or of anyone's."""


@hookspec
def zoo_datasets() -> Iterable[DatasetSpec]:  # pyright: ignore[reportReturnType]
    """Data sets for `zoo eval --data NAME` and for training recipes."""


@hookspec
def zoo_commands(cli: click.Group) -> None:
    """Add commands to the `zoo` program: `cli.add_command(...)`."""
