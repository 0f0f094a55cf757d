"""The index of all specs, gathered from the plugins hook by hook and never changed afterwards."""

from __future__ import annotations

import os
import reprlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache, cached_property
from itertools import islice
from threading import RLock
from typing import Any, TypeVar

from zoo.errors import PluginError, PluginWarning
from zoo.registry import timm_index
from zoo.registry.plugins import Plugin, blame, discover
from zoo.registry.specs import (
    AttentionSpec,
    BackboneSpec,
    DatasetSpec,
    ModelSpec,
    RecipeSpec,
    WeightsSpec,
)
from zoo.registry.targets import missing_attribute

S = TypeVar("S")
Named = AttentionSpec | BackboneSpec | ModelSpec | DatasetSpec | RecipeSpec
MANY = 100_000  # specs of one plugin: an endless iterator must end
_lock = RLock()


class Registry:
    """All specs, by name and by alias. `Registry(plugins=[...])` adds plugin objects, for a test.

    Plugins are asked for each kind of spec once, when it is first needed. If a plugin raises,
    returns something else than specs, or claims a name that is taken, that spec is left out. The
    plugin then has a row in `plugins` that says why, and there is one `PluginWarning`. With
    `ZOO_STRICT_PLUGINS=1` a `PluginError` is raised instead.
    """

    def __init__(self, plugins: Iterable[object] = ()) -> None:
        self._plugins: list[Plugin] = discover(plugins)
        self._gathered: dict[tuple[str, ...], Mapping[str, Any]] = {}
        self._owners: dict[tuple[type[Any], str], Plugin] = {}
        self._reported: dict[int, int] = {}
        self.report()

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """One row for each plugin, after each was asked for everything that it offers."""
        _ = self.attentions, self.backbones, self.models, self.datasets, self.weights, self.recipes
        return tuple(self._plugins)

    @property
    def loaded(self) -> tuple[Plugin, ...]:
        """The plugins that could be loaded, before they are asked for anything."""
        return tuple(plugin for plugin in self._plugins if plugin.module is not None)

    @cached_property
    def attentions(self) -> Mapping[str, AttentionSpec]:
        """Attention specs by canonical name."""
        return self._gather({"zoo_attentions": AttentionSpec})

    @cached_property
    def backbones(self) -> Mapping[str, BackboneSpec]:
        """Backbones that plugins add. Those of timm are in `zoo.registry.timm_index`."""
        return {n: spec for n, spec in self._buildable.items() if isinstance(spec, BackboneSpec)}

    @cached_property
    def models(self) -> Mapping[str, ModelSpec]:
        """Named models by canonical name."""
        return {n: spec for n, spec in self._buildable.items() if isinstance(spec, ModelSpec)}

    @cached_property
    def datasets(self) -> Mapping[str, DatasetSpec]:
        """Data sets by canonical name."""
        return self._gather({"zoo_datasets": DatasetSpec})

    @cached_property
    def weights(self) -> Mapping[tuple[str, str], WeightsSpec]:
        """Weights by (model, tag). The first to claim a tag has it, and the first default of a
        model is its default; what timm has comes before.
        """
        with _lock:
            found: dict[tuple[str, str], WeightsSpec] = {}
            defaults: dict[str, str] = {}
            for plugin, stated in self._specs({"zoo_weights": WeightsSpec}):
                spec = replace(stated, model=self.model_aliases.get(stated.model, stated.model))
                name, of_timm = f"{spec.model}.{spec.tag}", _of_timm(spec.model)
                if (spec.model, spec.tag) in found or name in of_timm:
                    plugin.problems.append(f"weights {name} are already stated")
                    continue
                if spec.default:
                    first = defaults.setdefault(spec.model, [*of_timm, name][0])
                    if first != name:
                        plugin.problems.append(f"weights {name} are not the default: {first} is")
                        spec = replace(spec, default=False)
                found[spec.model, spec.tag] = spec
            self.report()
            return found

    @cached_property
    def recipes(self) -> Mapping[str, RecipeSpec]:
        """Training recipes by canonical name."""
        return self._gather({"zoo_recipes": RecipeSpec})

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        """Aliases of attentions to canonical names."""
        return {a: spec.name for spec in self.attentions.values() for a in spec.aliases}

    @cached_property
    def model_aliases(self) -> Mapping[str, str]:
        """Aliases of models to canonical names."""
        return {a: spec.name for spec in self.models.values() for a in spec.aliases}

    def owner(self, spec: Named) -> str:
        """The plugin that states `spec`, for messages."""
        plugin = self._owners.get((type(spec), spec.name))
        return f"plugin {plugin.name} ({plugin.origin})" if plugin else "no plugin"

    def distribution(self, spec: Named) -> str:
        """The distribution of the plugin that states `spec`; an empty string if there is none."""
        plugin = self._owners.get((type(spec), spec.name))
        return plugin.distribution if plugin else ""

    def package(self, spec: Named) -> str:
        """The top package of the plugin that states `spec`; an empty string if there is none."""
        plugin = self._owners.get((type(spec), spec.name))
        return plugin.target.partition(":")[0].partition(".")[0] if plugin else ""

    def report(self) -> None:
        """Warn once of each plugin that has problems, or raise if `ZOO_STRICT_PLUGINS` is set."""
        for plugin in self._plugins:
            known = self._reported.get(id(plugin), 0)
            if len(plugin.problems) <= known:
                continue
            text = f"plugin {plugin.name} ({plugin.origin}): {'; '.join(plugin.problems[known:])}"
            if os.environ.get("ZOO_STRICT_PLUGINS", "") not in ("", "0"):
                mend = f", or pip uninstall {plugin.distribution}" if plugin.distribution else ""
                raise PluginError(text, remedy=f"mend it{mend}")
            self._reported[id(plugin)] = len(plugin.problems)
            if not known:
                warnings.warn(f"{text}; see `zoo plugins`", PluginWarning, stacklevel=2)

    @cached_property
    def _buildable(self) -> Mapping[str, BackboneSpec | ModelSpec]:
        """Backbones and models share one space of names: `create_model` takes either."""
        kinds: dict[str, type[BackboneSpec | ModelSpec]]
        kinds = {"zoo_backbones": BackboneSpec, "zoo_models": ModelSpec}
        return self._gather(kinds, self._means_already)

    def _specs(self, kinds: Mapping[str, type[S]]) -> Iterable[tuple[Plugin, S]]:
        for plugin in self.loaded:
            for hook, kind in kinds.items():
                for spec in self._offered(plugin, hook, kind):
                    yield plugin, spec

    def _offered(self, plugin: Plugin, hook: str, kind: type[S]) -> list[S]:
        """The specs that one plugin's hook returns; all else becomes a problem of that plugin."""
        items: list[object] = []
        with blame(plugin, f"{hook} failed"):
            offered = plugin.call(hook)
            items = [offered] if isinstance(offered, kind) else list(islice(offered, MANY))
        junk = [item for item in items if not isinstance(item, kind)]
        if junk:
            more = f" and {len(junk) - 1} more" if len(junk) > 1 else ""
            shown = f"{reprlib.repr(junk[0])}{more}, which is no {kind.__name__}"
            plugin.problems.append(f"{hook} returned {shown}")
        return [item for item in items if isinstance(item, kind)]

    def _gather(
        self, kinds: Mapping[str, type[Any]], refuse: Callable[[Plugin, str], str] | None = None
    ) -> Mapping[str, Any]:
        """Ask every plugin in turn for every hook of `kinds`; the first to claim a name has it."""
        with _lock:
            if tuple(kinds) not in self._gathered:
                found: dict[str, Any] = {}
                taken: dict[str, Plugin] = {}
                for plugin, spec in self._specs(kinds):
                    with blame(plugin, "a spec cannot be read"):
                        reason = self._refusal(plugin, spec, taken, refuse)
                        if reason:
                            plugin.problems.append(reason)
                            continue
                        found[spec.name] = spec
                        taken.update(dict.fromkeys((spec.name, *spec.aliases), plugin))
                        self._owners[type(spec), spec.name] = plugin
                self._gathered[tuple(kinds)] = found
            self.report()
            return self._gathered[tuple(kinds)]

    def _refusal(
        self, plugin: Plugin, spec: Named, taken: Mapping[str, Plugin],
        refuse: Callable[[Plugin, str], str] | None,
    ) -> str:  # fmt: skip
        for name in (spec.name, *spec.aliases):
            if name in taken:
                return f"{name!r} is already claimed by plugin {taken[name].name}"
            reason = refuse(plugin, name) if refuse else ""
            if reason:
                return reason
        reason = _missing(spec)
        return f"{spec.name!r} is left out: {reason}" if reason else ""

    def _means_already(self, plugin: Plugin, name: str) -> str:
        """Why a plugin may not call a model or backbone `name`: it is timm's, or a composition.

        A distribution may say more of compositions with its own attentions than their name does.
        """
        if name in timm_index.architectures():
            return f"{name!r} is the name of a timm model"
        for cut in (i for i, letter in enumerate(name) if letter == "_"):
            prefix, rest = name[:cut], name[cut + 1 :]
            spec = self.attentions.get(self.aliases.get(prefix, prefix))
            if spec is None:
                continue
            owner = self._owners[AttentionSpec, spec.name]
            own = owner is plugin or owner.distribution == plugin.distribution != ""
            if not own and rest in timm_index.architectures():
                return f"{name!r} already means {spec.name} (plugin {owner.name}) in {rest}"
        return ""


def _of_timm(model: str) -> list[str]:
    """The weights that timm has of a model, each as `<model>.<tag>`, the default first."""
    return [f"{model}.{tag}" for tag in timm_index.architectures().get(model, ())]


def _missing(spec: Named) -> str:
    """Why what a spec names cannot be there, or an empty string."""
    if isinstance(spec, RecipeSpec):
        return spec.missing()
    return missing_attribute(spec.target) if spec.target else ""


def default_registry() -> Registry:
    """The registry of this process, built when it is first needed."""
    with _lock:
        return _default_registry()


@cache
def _default_registry() -> Registry:
    return Registry()
