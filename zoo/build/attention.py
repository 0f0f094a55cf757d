"""`create_attention` builds a mechanism from its name and its options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timm.layers import register_notrace_module
from torch import nn

from zoo.build.call import call
from zoo.build.guard import guard
from zoo.errors import PluginError
from zoo.registry import Registry, default_registry, names
from zoo.registry.constructor import Constructor
from zoo.registry.options import normalise
from zoo.registry.specs import AttentionSpec
from zoo.registry.targets import resolve


def create_attention(
    name: str,
    channels: int | list[int] | None = None,
    *,
    registry: Registry | None = None,
    **options: Any,
) -> nn.Module:
    """Build an attention mechanism by name.

    Args:
        name: the name of the mechanism, or an alias. `zoo.list_attentions()` has all names.
        channels: C of the map. It fills whatever the mechanism calls the channels. A list is the
            mechanism's own option `channels`, for several layers.
        **options: options of the mechanism, under its own names or those that its authors, its
            paper and timm use.

    Returns:
        The module. If it takes one map or one sequence of tokens, it raises a `UsageError` when it
            is called with another rank or other channels (`zoo.build.guard`).

    Raises:
        UnknownNameError: there is no such mechanism; the message has the closest names.
        OptionError: an option is wrong; the message names it, the mechanism and what is allowed.
        PluginError: the code of the plugin cannot be imported.
    """
    registry = registry or default_registry()
    spec = names.attention(name, registry)
    if isinstance(channels, list):  # of layers: the mechanism's own option of that name
        options, channels = {**options, "channels": channels}, None
    module = build_attention(spec, registry, channels, options)
    return guard(module, spec, channels, {**spec.options.defaults, **options})


def build_attention(
    spec: AttentionSpec, registry: Registry, channels: int | None, options: Mapping[str, Any]
) -> nn.Module:
    """Build the mechanism of a spec. It raises as `create_attention` does."""
    owner = registry.owner(spec)
    target = resolve(spec.target, owner)
    own = normalise(spec, target, channels, options, owner)
    module = call(Constructor(target, "attention", spec.name), own)
    if not isinstance(module, nn.Module):
        raise PluginError(
            f"target {spec.target!r} makes a {type(module).__name__}, not a torch.nn.Module",
            where=owner,
        )
    if not type(module).__module__.startswith(("torch.", "timm.")):
        register_notrace_module(type(module))  # one node where timm traces models for features
    return module
