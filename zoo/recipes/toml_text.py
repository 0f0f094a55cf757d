"""A recipe as TOML, such that reading it gives the same recipe."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from zoo.errors import RecipeError
from zoo.recipes.recipe import Recipe

START = ("model", "epochs", "batch_size", "seed")  # what a reader looks for first


def to_toml(recipe: Recipe) -> str:
    """The text of a recipe. What is as it would be by default is left out, but for the seed.

    Raises:
        RecipeError: an option is not what TOML can hold, such as None.
    """
    values = dataclasses.asdict(recipe)
    plain = {key: value for key, value in values.items() if not isinstance(value, Mapping)}
    kept = {key: plain[key] for key in START}
    kept |= {key: value for key, value in plain.items() if value != _default(Recipe, key)}
    lines = list(_lines(kept))
    for key, table in values.items():
        if isinstance(table, Mapping):
            cls = type(getattr(recipe, key))
            known = dataclasses.is_dataclass(cls)
            shown = {k: v for k, v in table.items() if not known or v != _default(cls, k)}
            if shown or key in ("schedule", "images"):
                lines += ["", f"[{key}]", *_lines(shown)]
    return "\n".join(lines) + "\n"


def _default(cls: Any, key: str) -> Any:
    field = next(f for f in dataclasses.fields(cls) if f.name == key)
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _lines(table: Mapping[str, Any]) -> Iterator[str]:
    return (f"{json.dumps(key) if not _is_bare(key) else key} = {_text(value)}"
            for key, value in table.items())  # fmt: skip


def _is_bare(key: str) -> bool:
    return key.isascii() and key.replace("_", "").replace("-", "").isalnum()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int | float):
        return repr(value)  # nan and inf are TOML's words too
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(_lines(value))}}}"
    raise RecipeError(f"{value!r} of type {type(value).__name__} cannot stand in a recipe")
