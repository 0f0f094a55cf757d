"""What the shell offers for a name that is half typed. No torch, as in every listing."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from zoo.registry import catalogue, default_registry

PATH = click.Path()  # the shell completes it


def models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Named models and backbones. Where none begins so, every backbone with an attention."""
    return _models(incomplete) or _begin(catalogue.list_models(composed=True), incomplete)


def trainable(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Recipes and models."""
    found = {*recipes(ctx, param, incomplete), *_models(incomplete)}
    return sorted(found) or models(ctx, param, incomplete)


def recipes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Training recipes."""
    return _begin(catalogue.list_recipes(), incomplete)


def names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Attentions and models."""
    found = _begin(catalogue.list_attentions(), incomplete) + _models(incomplete)
    return found or models(ctx, param, incomplete)


def _models(incomplete: str) -> list[str]:
    return _begin([*catalogue.list_models(), *catalogue.list_backbones()], incomplete)


def families(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Families of attentions and models."""
    found = {*catalogue.families(), *catalogue.families(attentions=True)}
    return _begin(sorted(found), incomplete)


def datasets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Data sets of plugins, else folders."""
    found = _begin(sorted(default_registry().datasets), incomplete)
    return [CompletionItem(name) for name in found] or [CompletionItem(incomplete, type="dir")]


def _begin(found: list[str], incomplete: str) -> list[str]:
    return [name for name in found if name.startswith(incomplete)]
