"""Finding plugins, loading each on its own, and saying which of them are broken.

The plugins that come with the zoo are entry points of the same form as anyone's. Each plugin has a
pluggy manager of its own, so that nothing that a plugin does when it is asked can reach the others.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache, partial
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from typing import Any, Literal

import pluggy

from zoo.errors import PluginError, ZooError
from zoo.registry import hookspecs
from zoo.version import DISTRIBUTION

GROUP = "zoo.plugins"
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("zoo_"))


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


@dataclass(slots=True)
class Plugin:
    """One row of `zoo plugins`: where a plugin comes from, and whether it works."""

    name: str
    origin: str
    target: str
    distribution: str = ""
    problems: list[str] = field(default_factory=list[str])
    module: object | None = None
    manager: pluggy.PluginManager = field(default_factory=_manager, repr=False)

    @property
    def status(self) -> Literal["ok", "degraded", "failed"]:
        """`ok`, `failed` if the plugin could not be loaded, or `degraded` if some of what it offers
        was left out.
        """
        if self.module is None:
            return "failed"
        return "degraded" if self.problems else "ok"

    def call(self, hook: str, **arguments: object) -> Any:
        """What the plugin's implementation of `hook` returns; an empty tuple if it has none."""
        results = getattr(self.manager.hook, hook)(**arguments)
        return results[0] if results else ()


def discover(extra: Iterable[object] = ()) -> list[Plugin]:
    """Load the installed entry points, and the objects in `extra`.

    The distribution of the zoo itself comes first, so that nobody takes its names. The environment
    variable `ZOO_PLUGINS=a,b` limits the plugins of other distributions to these names;
    `ZOO_PLUGINS=` allows none.
    """
    plugins: list[Plugin] = []
    for point in _installed():
        _load(plugins, _row(point), point.load)
    plugins += _wanted_but_absent(plugins)
    for item in extra:
        name = str(getattr(item, "__name__", None) or type(item).__name__)
        _load(plugins, Plugin(name, "given", name), partial(_same, item))
    return plugins


@cache
def _named(distribution: Distribution | None) -> tuple[str, str]:
    """Name and version of a distribution; read once, since its metadata is parsed each time."""
    try:
        return (distribution.name, distribution.version) if distribution else ("", "")
    except Exception:  # metadata without a name
        return "", ""


def _row(point: EntryPoint) -> Plugin:
    name, version = _named(point.dist)
    origin = f"{name} {version}".strip() or "?"
    return Plugin(point.name, origin, point.value, distribution=name)


def _same(item: object) -> object:
    return item


def _installed() -> Sequence[EntryPoint]:
    wanted = _wanted()
    points = sorted(_entry_points(), key=lambda point: (not _is_bundled(point), point.name))
    return [p for p in points if wanted is None or p.name in wanted or _is_bundled(p)]


def _is_bundled(point: EntryPoint) -> bool:
    """Whether a plugin comes in the distribution of the zoo itself."""
    return _named(point.dist)[0] == DISTRIBUTION


def _entry_points() -> Iterable[EntryPoint]:
    try:
        return entry_points(group=GROUP)
    except Exception:  # one distribution with unreadable metadata: leave out that one
        return _readable_entry_points()


def _readable_entry_points() -> Iterable[EntryPoint]:
    for distribution in distributions():
        try:
            yield from distribution.entry_points.select(group=GROUP)
        except Exception:
            continue


def _wanted() -> list[str] | None:
    only = os.environ.get("ZOO_PLUGINS")
    if only is None:
        return None
    return [name for name in (part.strip() for part in only.split(",")) if name]


def _wanted_but_absent(plugins: Sequence[Plugin]) -> list[Plugin]:
    absent = [n for n in _wanted() or () if all(n != plugin.name for plugin in plugins)]
    reason = "ZOO_PLUGINS asks for it, and no installed distribution offers it"
    return [Plugin(name, "?", "", problems=[reason]) for name in absent]


def _load(plugins: list[Plugin], plugin: Plugin, load: Callable[[], object]) -> None:
    others = list(plugins)
    plugins.append(plugin)
    with blame(plugin, "cannot be loaded"):
        _refuse_same_name(plugin, others)
        module = load()
        _refuse_same_object(module, others)
        plugin.manager.register(module, plugin.name)
        plugin.problems += _hook_problems(plugin.manager, module)
        plugin.module = module


@contextmanager
def blame(plugin: Plugin, what: str) -> Generator[None]:
    """A context in which whatever a plugin raises, even an exit, becomes a problem of that plugin.

    What the plugin prints goes to stderr, since stdout belongs to the results of the command.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        plugin.problems.append(f"{what}: {describe(error)}")


def _refuse_same_name(plugin: Plugin, others: Iterable[Plugin]) -> None:
    for other in others:
        if other.name == plugin.name:
            raise PluginError(f"{other.origin} has a plugin {plugin.name!r} already")


def _refuse_same_object(module: object, others: Iterable[Plugin]) -> None:
    if module is None:
        raise PluginError("its entry point names None, not a module or an object with hooks")
    for other in others:
        if other.module is module:
            raise PluginError(f"it is the same object as plugin {other.name}")


def _hook_problems(manager: pluggy.PluginManager, module: object) -> list[str]:
    """Misspelt hooks, hooks without the decorator, and no hook at all."""
    callers = {caller.name: caller for caller in manager.get_hookcallers(module) or ()}
    problems: list[str] = []
    for name, caller in callers.items():
        if not caller.has_spec():
            close = get_close_matches(name, HOOKS, 1)
            hint = f"did you mean {close[0]}?" if close else f"hooks are {', '.join(HOOKS)}"
            problems.append(f"unknown hook {name}; {hint}")
    for name in HOOKS:
        if name not in callers and name in dir(module):
            problems.append(f"{name} is not marked with @zoo.hookimpl")
    if not callers and not problems:
        problems.append("offers no hook; mark functions with @zoo.hookimpl")
    return problems


def describe(error: BaseException) -> str:
    """An exception in one line: the message of an error of the zoo; of others, with their type."""
    if isinstance(error, ZooError):
        where = f" ({error.where})" if error.where else ""
        return error.what + where + (f", try {error.remedy}" if error.remedy else "")
    try:
        text = " ".join(str(error).split())
    except Exception:  # an exception that cannot even say what it is
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
