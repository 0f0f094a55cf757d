"""Reading a recipe: TOML becomes frozen data, with every key known and every type checked."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from zoo.errors import RecipeError
from zoo.recipes.bounds import check
from zoo.recipes.recipe import Recipe
from zoo.registry import default_registry
from zoo.registry.recipes import find_recipe

T = TypeVar("T")


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe of one stage. One `RecipeError` names the first wrong key."""
    path = Path(path)
    table = toml_table(read_toml(path), str(path))
    if "stages" in table:
        raise RecipeError(
            "the recipe has stages, and one alone is needed here",
            where=str(path),
            remedy="zoo.recipes.read_staged, or a recipe without [[stages]]",
        )
    return parse_recipe(table, str(path))


def read_toml(path: Path) -> bytes:
    """The text of a recipe's file.

    Raises:
        RecipeError: it cannot be read; where a recipe has the name of the file, it says so.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        spec = find_recipe(path.stem, default_registry())
        raise RecipeError(
            f"recipe cannot be read: {error.strerror}",
            where=str(path),
            remedy=f"zoo train {path.stem}, without the path and .toml" if spec else "",
        ) from error


def toml_table(text: bytes, where: str) -> dict[str, Any]:
    """The text of a recipe as a table, unchecked."""
    try:
        return tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe is not TOML: {error}", where=where) from error


def parse_recipe(table: Mapping[str, Any], where: str) -> Recipe:
    """Check one stage of a recipe. One `RecipeError` names the first wrong key."""
    recipe = _build(Recipe, table, where, "")
    check(recipe, where)
    return recipe


def _build(cls: type[T], table: Mapping[str, Any], path: str, prefix: str) -> T:
    fields = {f.name: f for f in dataclasses.fields(cls)}  # pyright: ignore[reportArgumentType]
    hints = get_type_hints(cls)
    for key in table:
        if key not in fields:
            close = get_close_matches(key, fields, 1)
            raise RecipeError(
                f"unknown key {prefix}{key}",
                where=path,
                remedy=f"{prefix}{close[0]}" if close else f"one of {', '.join(fields)}",
            )
    missing = [n for n, f in fields.items() if n not in table and _required(f)]
    if missing:
        raise RecipeError(f"missing key {prefix}{missing[0]}", where=path)
    return cls(**{key: _value(hints[key], table[key], path, prefix + key) for key in table})


def _required(f: dataclasses.Field[Any]) -> bool:
    return f.default is MISSING and f.default_factory is MISSING


def _value(hint: Any, value: Any, path: str, key: str) -> Any:
    tables = [kind for kind in get_args(hint) if dataclasses.is_dataclass(kind)]
    hint = tables[0] if tables else hint  # a table that may be absent
    value = list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else value  # Python's
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise RecipeError(f"{key} is not a table", where=path, remedy=f"[{key}]")
        return _build(hint, value, path, f"{key}.")
    if hint is float and type(value) is int:
        value = float(value)
    if hint == list[float] and isinstance(value, list):
        value = [float(n) if type(n) is int else n for n in cast(list[Any], value)]
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if not any(_is_of(kind, value) for kind in kinds):
        names = " or ".join(_kind_name(kind) for kind in kinds)
        raise RecipeError(f"{key} = {value!r} is not of type {names}", where=path)
    return value


def _is_of(kind: Any, value: Any) -> bool:
    """Whether a value is of a plain type, or a list of one; true and false are no numbers."""
    base: Any = get_origin(kind) or kind
    if base is list and isinstance(value, list):
        return all(_is_of(get_args(kind)[0], item) for item in cast(list[Any], value))
    return isinstance(value, base) and (base is bool or not isinstance(value, bool))


def _kind_name(kind: Any) -> str:
    base: Any = get_origin(kind) or kind
    return f"list of {get_args(kind)[0].__name__}" if base is list else base.__name__
