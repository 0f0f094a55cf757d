"""An index of specs, gathered from plugins one hook at a time and never changed afterwards."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import cache, cached_property
from threading import RLock
from typing import Any, TypeVar

from zoo import timm_index
from zoo.errors import PluginError, PluginWarning
from zoo.plugins import Plugin, PluginHost, describe, discover
from zoo.specs import AttentionSpec, BackboneSpec, DatasetSpec, ModelSpec, WeightsSpec
from zoo.targets import missing_attribute

S = TypeVar("S", AttentionSpec, BackboneSpec, ModelSpec, DatasetSpec)
_lock = RLock()


class Registry:
    """All specs by name and alias. `Registry(plugins=[...])` adds plugin objects for a test.

    Each kind of spec is asked for once, when it is first needed. A plugin that raises, returns
    junk or claims a name that is taken loses that spec, gets a row in `plugins` that says why, and
    one `PluginWarning`; with `ZOO_STRICT_PLUGINS=1` a `PluginError` is raised instead.
    """

    def __init__(self, plugins: Iterable[object] = ()) -> None:
        self._host: PluginHost = discover(plugins)
        self._owners: dict[str, Plugin] = {}
        self._reported: dict[int, int] = {}
        self._report()

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """One row a plugin, after asking each for everything it offers."""
        _ = self.attentions, self.backbones, self.models, self.datasets, self.weights
        return tuple(self._host.plugins)

    @property
    def host(self) -> PluginHost:
        """The plugin host, for hooks that return nothing (`zoo_commands`)."""
        return self._host

    @cached_property
    def attentions(self) -> Mapping[str, AttentionSpec]:
        """Attention specs by canonical name."""
        return self._gather("zoo_attentions", AttentionSpec)

    @cached_property
    def backbones(self) -> Mapping[str, BackboneSpec]:
        """Backbones that plugins add; timm's are in `zoo.timm_index`."""
        return self._gather("zoo_backbones", BackboneSpec, self._owned_by_timm)

    @cached_property
    def models(self) -> Mapping[str, ModelSpec]:
        """Named models by canonical name."""
        return self._gather("zoo_models", ModelSpec, self._owned_by_timm)

    @cached_property
    def datasets(self) -> Mapping[str, DatasetSpec]:
        """Data sets by canonical name."""
        return self._gather("zoo_datasets", DatasetSpec)

    @cached_property
    def weights(self) -> Mapping[tuple[str, str], WeightsSpec]:
        """Weights by (model, tag)."""
        found: dict[tuple[str, str], WeightsSpec] = {}
        for plugin, spec in self._items("zoo_weights", WeightsSpec):
            if (spec.model, spec.tag) in found:
                plugin.problems.append(f"weights {spec.model}.{spec.tag} are already stated")
            else:
                found[spec.model, spec.tag] = spec
        self._report()
        return found

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        """Aliases of attentions to canonical names."""
        return {a: spec.name for spec in self.attentions.values() for a in spec.aliases}

    @cached_property
    def model_aliases(self) -> Mapping[str, str]:
        """Aliases of models to canonical names."""
        return {a: spec.name for spec in self.models.values() for a in spec.aliases}

    def owner(self, spec: AttentionSpec | BackboneSpec | ModelSpec | DatasetSpec) -> str:
        """The plugin that states `spec`, for messages."""
        plugin = self._owners.get(f"{type(spec).__name__}:{spec.name}")
        return f"plugin {plugin.name} ({plugin.origin})" if plugin else "no plugin"

    def _items(self, hook: str, kind: type[Any]) -> Iterable[tuple[Plugin, Any]]:
        for plugin in self._host.plugins:
            if plugin.module is None:
                continue
            try:
                offered = list(self._host.call(hook, plugin) or ())
            except (Exception, SystemExit) as error:
                plugin.problems.append(f"{hook} failed: {describe(error)}")
                continue
            for item in offered:
                if isinstance(item, kind):
                    yield plugin, item
                else:
                    plugin.problems.append(f"{hook} returned {item!r:.80}, not a {kind.__name__}")

    def _gather(
        self, hook: str, kind: type[S], refuse: Callable[[Plugin, str], str] | None = None
    ) -> Mapping[str, S]:
        with _lock:
            found: dict[str, S] = {}
            taken: dict[str, Plugin] = {}
            for plugin, spec in self._items(hook, kind):
                reason = self._refusal(plugin, spec, taken, refuse)
                if reason:
                    plugin.problems.append(reason)
                    continue
                found[spec.name] = spec
                taken.update(dict.fromkeys((spec.name, *spec.aliases), plugin))
                self._owners[f"{kind.__name__}:{spec.name}"] = plugin
            self._report()
            return found

    def _refusal(
        self, plugin: Plugin, spec: S, taken: Mapping[str, Plugin],
        refuse: Callable[[Plugin, str], str] | None,
    ) -> str:  # fmt: skip
        for name in (spec.name, *spec.aliases):
            if name in taken:
                return f"{name!r} is already claimed by plugin {taken[name].name}"
            reason = refuse(plugin, name) if refuse else ""
            if reason:
                return reason
        if spec.target and not plugin.first_party:
            reason = missing_attribute(spec.target)
            return f"{spec.name!r} is left out: {reason}" if reason else ""
        return ""

    def _owned_by_timm(self, plugin: Plugin, name: str) -> str:
        if plugin.first_party:
            return ""
        if name in timm_index.architectures():
            return f"{name!r} is the name of a timm model"
        for prefix in self.attentions.keys() | self.aliases.keys():
            rest = name.removeprefix(f"{prefix}_")
            spec = self.attentions[self.aliases.get(prefix, prefix)]
            owner = self._owners[f"AttentionSpec:{spec.name}"]
            if rest != name and owner is not plugin and rest in timm_index.architectures():
                return f"{name!r} already means {spec.name} (plugin {owner.name}) in {rest}"
        return ""

    def _report(self) -> None:
        """Warn once of each plugin's new problems, or raise where the user wants strictness."""
        for plugin in self._host.plugins:
            known = self._reported.get(id(plugin), 0)
            if len(plugin.problems) <= known:
                continue
            text = f"plugin {plugin.name} ({plugin.origin}): {'; '.join(plugin.problems[known:])}"
            if os.environ.get("ZOO_STRICT_PLUGINS", "") not in ("", "0"):
                raise PluginError(text, remedy=f"mend it, or pip uninstall {plugin.origin}")
            if not known:
                warnings.warn(f"{text}; see `zoo plugins`", PluginWarning, stacklevel=2)
            self._reported[id(plugin)] = len(plugin.problems)


@cache
def default_registry() -> Registry:
    """The registry of this process, built when it is first needed."""
    with _lock:
        return Registry()
