"""Recipes by name, and what is said of each in a line. Nothing here imports torch."""

from __future__ import annotations

import re
import tomllib
from textwrap import shorten
from typing import Any, cast

from zoo.errors import UnknownNameError
from zoo.registry import Registry
from zoo.registry.names import did_you_mean
from zoo.registry.specs import RecipeSpec


def find_recipe(name: str, registry: Registry) -> RecipeSpec | None:
    """The recipe of that name, or the one that makes the weights of that name, if there is one.

    Weights are named `<model>.<tag>`; `<model>` alone means those that `pretrained=True` takes.
    """
    spec = _named(name, registry)
    if spec is not None:
        return spec
    model, _, tag = name.partition(".")
    model = registry.model_aliases.get(model, model)
    for stated in registry.weights.values():
        if stated.model == model and (stated.tag == tag or (stated.default and not tag)):
            return _named(stated.recipe, registry)
    return None


def recipe_named(name: str, registry: Registry) -> RecipeSpec:
    """The recipe that `find_recipe` finds.

    Raises:
        UnknownNameError: there is none; the message has the closest names.
    """
    spec = find_recipe(name, registry)
    if spec is None:
        close = did_you_mean(name[:200], registry.recipes)
        raise UnknownNameError(
            f"there is no recipe {name[:200]!r}{close}",
            remedy="zoo list --recipes, or the path of a TOML file",
        )
    return spec


def _named(name: str, registry: Registry) -> RecipeSpec | None:
    aliases = {a: spec.name for spec in registry.recipes.values() for a in spec.aliases}
    return registry.recipes.get(aliases.get(name, name))


def makes(spec: RecipeSpec, registry: Registry) -> list[str]:
    """The names of the weights that a recipe makes, and whether it did, as their manifests say."""
    made = [w for w in registry.weights.values() if w.recipe == spec.name]
    later = {"unpublished": " (not made yet)"}
    return [f"{w.model}.{w.tag}{later.get(w.kind, '')}" for w in made]


def summary_of(spec: RecipeSpec) -> tuple[str, str, str]:
    """(data, epochs of each stage, the first sentence of its notes), unchecked, for a listing."""
    try:
        table = tomllib.loads(spec.read().decode())
    except (OSError, ImportError, ValueError, RecursionError) as error:
        return "", "", f"cannot be read: {error}"
    found = table.get("stages")
    stages = cast("list[Any]", found) if isinstance(found, list) and found else [table]
    epochs = [_get(stage, "epochs", table.get("epochs", "?")) for stage in stages]
    data = [_get(_get(s, "data", {}), "name", _get(table.get("data"), "name", "")) for s in stages]
    notes = " ".join(str(table.get("notes", "")).split())
    sentence = shorten(re.split(r"(?<=[.]) (?=[A-Z0-9])", notes, maxsplit=1)[0], 100)
    return ", ".join(dict.fromkeys(map(str, data))), " + ".join(map(str, epochs)), sentence


def _get(table: Any, key: str, otherwise: Any) -> Any:
    """The value of a key, where there is a table that has it."""
    known: dict[str, Any] = cast("dict[str, Any]", table) if isinstance(table, dict) else {}
    return known.get(key, otherwise)
