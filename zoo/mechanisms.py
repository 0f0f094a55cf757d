"""`create_attention`: a name and its options become a module."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

from timm.layers import register_notrace_module
from torch import nn

from zoo import names
from zoo.errors import OptionError, PluginError, ZooError
from zoo.guard import guard
from zoo.registry import Registry, default_registry
from zoo.specs import AttentionSpec
from zoo.targets import resolve


def create_attention(
    name: str,
    channels: int | list[int] | None = None,
    *,
    registry: Registry | None = None,
    **options: Any,
) -> nn.Module:
    """Build an attention mechanism by name.

    Args:
        name: of the mechanism, or an alias (`zoo.list_attentions()`).
        channels: C of the map; fills whatever the mechanism calls it. A list is the mechanism's own
            option `channels`, of several layers.
        **options: of the mechanism; the settings of the authors' code are accepted as they are.

    Returns:
        The module. What takes one map or one sequence of tokens raises a `UsageError` when it is
        called with another rank or other channels (`zoo.guard`).

    Raises:
        UnknownNameError: with the closest names. OptionError: names the option, the mechanism and
        what it accepts. PluginError: the plugin's code cannot be imported.
    """
    registry = registry or default_registry()
    spec = names.attention(name, registry)
    if isinstance(channels, list):  # of layers: the mechanism's own option of that name
        options, channels = {**options, "channels": channels}, None
    module = build_attention(spec, registry, channels, options)
    return guard(module, spec, channels, {**spec.defaults, **options})


def build_attention(
    spec: AttentionSpec, registry: Registry, channels: int | None, options: Mapping[str, Any]
) -> nn.Module:
    """Build the mechanism of a spec. Raises as `create_attention`."""
    target = resolve(spec.target, registry.owner(spec))
    accepted = option_names(target)
    given = {**spec.defaults, **_channels(spec, channels, options), **options}
    check_options(spec, given, accepted)
    try:
        module = target(**given)
    except ZooError:
        raise
    except (TypeError, ValueError, AssertionError, ArithmeticError, RuntimeError, LookupError,
            AttributeError) as error:  # fmt: skip
        shown = ", ".join(f"{k}={v!r}" for k, v in given.items())
        raise OptionError(
            f"{spec.name} cannot be built: {str(error) or type(error).__name__}",
            where=f"attention {spec.name}({shown})",
            remedy=f"it accepts {', '.join(sorted(accepted or given))}",
        ) from error
    if not isinstance(module, nn.Module):
        raise PluginError(
            f"target {spec.target!r} makes a {type(module).__name__}, not a torch.nn.Module",
            where=registry.owner(spec),
        )
    if not type(module).__module__.startswith(("torch.", "timm.")):
        register_notrace_module(type(module))  # one node where timm traces models for features
    return module


def option_names(target: Any) -> frozenset[str]:
    """Names of the options of a class or function; empty if it takes any, or does not say."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except ValueError:
        return frozenset()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return frozenset()
    return frozenset(p.name for p in parameters if p.kind is not p.VAR_POSITIONAL)


def _channels(
    spec: AttentionSpec, channels: int | None, options: Mapping[str, Any]
) -> dict[str, int]:
    if channels is None:
        return {}
    if isinstance(channels, bool) or not isinstance(channels, int) or channels < 1:
        raise OptionError(
            f"channels={channels!r} is not a whole number of at least 1",
            where=f"attention {spec.name!r}",
        )
    return {name: channels for name in spec.channel_arguments if name not in options}


def check_options(spec: AttentionSpec, given: Mapping[str, Any], accepted: frozenset[str]) -> None:
    """Refuse options that the mechanism does not have, and values that are not finite."""
    unknown = sorted(given.keys() - accepted) if accepted else []
    if unknown:
        raise OptionError(
            f"{spec.name} has no option {', '.join(map(repr, unknown))}",
            where=f"attention {spec.name!r}",
            remedy=f"it accepts {', '.join(sorted(accepted - {'device', 'dtype'}))}",
        )
    for key, value in given.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise OptionError(f"{key}={value!r} is not finite", where=f"attention {spec.name!r}")
    if spec.variants and given.get("variant") not in (None, *spec.variants):
        raise OptionError(
            f"{spec.name} has no variant {given['variant']!r}",
            where=f"attention {spec.name!r}",
            remedy=f"variant= one of {', '.join(map(repr, spec.variants))}",
        )
