"""Finding plugins, loading each on its own, and reporting those that are broken.

First-party plugins are entry points of the very same form as anyone's; they are listed here only
so that a checkout works without being installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Literal

import pluggy

from zoo import hookspecs
from zoo.errors import PluginError, ZooError

GROUP = "zoo.plugins"
FIRST_PARTY = {
    "zoo-channel": "zoo_plugins.channel",
    "zoo-spatial": "zoo_plugins.spatial",
    "zoo-mixed": "zoo_plugins.mixed",
    "zoo-self-attention": "zoo_plugins.self_attention",
    "zoo-recurrent": "zoo_plugins.recurrent",
    "zoo-convnets": "zoo_plugins.convnets",
    "zoo-weights": "zoo_weights",
}


@dataclass(slots=True)
class Plugin:
    """One row of `zoo plugins`: where a plugin comes from and whether it works."""

    name: str
    origin: str
    target: str
    first_party: bool = False
    problems: list[str] = field(default_factory=list[str])
    module: object | None = None

    @property
    def status(self) -> Literal["ok", "degraded", "failed"]:
        """`failed` did not load at all; `degraded` lost some of what it offers."""
        if self.module is None:
            return "failed"
        return "degraded" if self.problems else "ok"


@dataclass(slots=True)
class PluginHost:
    """The loaded plugins and the pluggy manager that calls them one at a time."""

    plugins: list[Plugin]
    manager: pluggy.PluginManager

    def call(self, hook: str, plugin: Plugin, **arguments: object) -> Any:
        """Call `hook` of one plugin alone, so that a raising one cannot silence the others."""
        others = [p.module for p in self.plugins if p.module is not None and p is not plugin]
        results = self.manager.subset_hook_caller(hook, others)(**arguments)
        return results[0] if results else ()


def discover(extra: Iterable[object] = ()) -> PluginHost:
    """Load first-party plugins, installed entry points, and the objects in `extra`.

    `ZOO_PLUGINS=a,b` limits the installed ones to those names (`ZOO_PLUGINS=` to none);
    first-party plugins always load.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    host = PluginHost([], manager)
    for name, target in FIRST_PARTY.items():
        _load(host, Plugin(name, "attention-zoo", target, True), lambda t=target: import_module(t))
    for point in _installed():
        origin = f"{point.dist.name} {point.dist.version}" if point.dist else "?"
        _load(host, Plugin(point.name, origin, point.value), point.load)
    for item in extra:
        name = str(getattr(item, "__name__", None) or type(item).__name__)
        _load(host, Plugin(name, "given", name), lambda i=item: i)
    return host


def _installed() -> Sequence[Any]:
    only = os.environ.get("ZOO_PLUGINS")
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    if only is None:
        return points
    wanted = {name.strip() for name in only.split(",")}
    return [point for point in points if point.name in wanted]


def _load(host: PluginHost, plugin: Plugin, load: Callable[[], object]) -> None:
    host.plugins.append(plugin)
    try:
        module = load()
        registered = host.manager.register(module, _unique_name(host, plugin.name))
        plugin.module = module if registered else None
    except (Exception, SystemExit) as error:
        host.manager.unregister(name=plugin.name) if host.manager.has_plugin(plugin.name) else None
        plugin.problems.append(f"cannot be loaded: {describe(error)}")
        return
    plugin.problems += _misspelt_hooks(host.manager, module)
    if not isinstance(module, ModuleType) and not host.manager.get_hookcallers(module):
        plugin.problems.append("offers no hook; mark functions with @zoo.hookimpl")


def _unique_name(host: PluginHost, name: str) -> str:
    if host.manager.has_plugin(name):
        raise PluginError(f"another plugin is already called {name!r}")
    return name


def _misspelt_hooks(manager: pluggy.PluginManager, module: object) -> list[str]:
    known = [name for name in vars(hookspecs) if name.startswith("zoo_")]
    problems: list[str] = []
    for caller in manager.get_hookcallers(module) or ():
        if not caller.has_spec():
            close = get_close_matches(caller.name, known, 1)
            hint = f"; did you mean {close[0]}?" if close else f"; hooks are {', '.join(known)}"
            problems.append(f"unknown hook {caller.name}{hint}")
    return problems


def describe(error: BaseException) -> str:
    """An exception in one line: the zoo's own by what they say, others with their type."""
    if isinstance(error, ZooError):
        return error.what + (f" ({error.where})" if error.where else "")
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
