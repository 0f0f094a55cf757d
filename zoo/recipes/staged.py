"""Recipes by name or by file, and recipes of several stages. Nothing here imports torch.

A recipe of several stages has a list `[[stages]]`. A stage says what differs from what stands above
the list; in a table such as `[optimizer]`, the keys that differ. Each stage starts from the weights
of the one before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from zoo.errors import RecipeError
from zoo.recipes.read import parse_recipe, read_toml, toml_table
from zoo.recipes.recipe import Recipe
from zoo.registry import default_registry
from zoo.registry.recipes import recipe_named

STARTS = ("weights", "pretrained", "backbone_weights")


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedRecipe:
    """A recipe as it is run: one stage, or several of which each goes on from the one before.

    Attributes:
        name: of the recipe, or of its file without the suffix.
        stages: what is trained, in order, each a whole `Recipe`.
        notes: evidence for the reader, of all stages together.
        text: what the file says, byte for byte.
        where: the file, or the name, for messages.
    """

    name: str
    stages: tuple[Recipe, ...]
    notes: str
    text: bytes
    where: str

    @property
    def last(self) -> Recipe:
        """The stage whose weights are the outcome."""
        return self.stages[-1]

    def single(self) -> Recipe:
        """The only stage.

        Raises:
            RecipeError: there are several.
        """
        if len(self.stages) > 1:
            raise RecipeError(
                f"the recipe has {len(self.stages)} stages, and one alone is needed here",
                where=self.where,
                remedy="a recipe without [[stages]]",
            )
        return self.last


def load_recipe(name: str) -> StagedRecipe:
    """Read the recipe of that name, or the one that makes the weights of that name.

    `zoo.list_recipes()` has the names.

    Raises:
        UnknownNameError: there is none; the message has the closest names.
        RecipeError: a plugin's recipe is wrong; the message names the first wrong key.
    """
    spec = recipe_named(name, default_registry())
    try:
        text = spec.read()
    except (OSError, ImportError) as error:
        raise RecipeError(f"recipe cannot be read: {error}", where=spec.path) from error
    return parse_staged(text, spec.name, spec.path)


def read_staged(path: str | Path) -> StagedRecipe:
    """Read and check a recipe's file, of one stage or of several.

    Raises:
        RecipeError: it names the first wrong key.
    """
    path = Path(path)
    return parse_staged(read_toml(path), path.stem, str(path))


def recipe_of(name: str | Path) -> StagedRecipe:
    """The recipe in a file, if `name` is the path of one or ends in `.toml`, else by its name."""
    return read_staged(name) if is_file(name) else load_recipe(str(name))


def is_file(name: str | Path) -> bool:
    """Whether a recipe is meant by its file: it ends in `.toml`, or there is such a file."""
    return str(name).endswith(".toml") or Path(name).is_file()


def parse_staged(text: bytes, name: str, where: str) -> StagedRecipe:
    """Check the text of a recipe. It raises as `read_staged` does."""
    table = toml_table(text, where)
    stages = tuple(_stages(table, where))
    notes = str(table.get("notes", ""))
    return StagedRecipe(name=name, stages=stages, notes=notes, text=text, where=where)


def _stages(table: dict[str, Any], where: str) -> list[Recipe]:
    if "stages" not in table:
        return [parse_recipe(table, where)]
    shared = {key: value for key, value in table.items() if key not in ("stages", "notes")}
    found = cast("list[dict[str, Any]]", table["stages"])
    if not isinstance(table["stages"], list) or not all(isinstance(s, dict) for s in found):
        raise RecipeError("stages is not a list of tables", where=where, remedy="[[stages]]")
    if not found:
        raise RecipeError("stages is empty", where=where, remedy="at least one [[stages]]")
    return [_stage(shared, stage, number, where) for number, stage in enumerate(found, 1)]


def _stage(shared: Mapping[str, Any], own: Mapping[str, Any], number: int, where: str) -> Recipe:
    """One stage: what all share, and what it says otherwise."""
    where = f"{where}, stage {number}"
    if number > 1:
        stated = [key for key in STARTS if key in own]
        if stated:
            raise RecipeError(
                f"{stated[0]} is not for a stage that starts from the one before",
                where=where,
                remedy=f"leave it out, or write {stated[0]} for the first stage",
            )
        shared = {key: value for key, value in shared.items() if key not in STARTS}
    return parse_recipe(_over(shared, own), where)


def _over(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`shared` with what `own` says in its place; tables are joined key by key."""
    joined = {
        key: {**shared[key], **value}
        for key, value in own.items()
        if isinstance(value, dict) and isinstance(shared.get(key), dict)
    }
    return {**shared, **own, **joined}
