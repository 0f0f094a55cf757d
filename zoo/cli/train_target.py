"""What a call of `zoo train` means by a name: a recipe, a recipe's file, or a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from zoo.recipes import StagedRecipe


def asked(
    target: str | None, named: str | None, data: str | None, given: dict[str, Any]
) -> tuple[StagedRecipe, Path | None]:
    """The recipe that a call means, and the folder of the data if it is one.

    A recipe for fine-tuning a model has the model's name, and is from nowhere.
    """
    from zoo.recipes import recipe_of
    from zoo.recipes.staged import is_file

    chosen = stated(given)
    if "part" in chosen:
        chosen["train"] = chosen.pop("part")
    name = _name(target, named)
    if named is None and data is not None and not is_file(name):
        return _finetuning(name, data, chosen)
    if named is None and not is_file(name):
        _refuse_model(name)
    if chosen:
        raise UsageError(
            f"--{next(iter(chosen)).replace('_', '-')} is for a MODEL; a recipe says it itself",
            where=name,
            remedy=f"zoo train {name} --save-recipe FILE, and write it into the file",
        )
    return recipe_of(name), Path(data) if data is not None else None


def stated(given: dict[str, Any]) -> dict[str, Any]:
    """The options that somebody gave. A number 0 is given; a flag that is off is not."""
    return {k: v for k, v in given.items() if v is not None and v is not False and v != ""}


def _name(target: str | None, named: str | None) -> str:
    if (target is None) == (named is None):
        raise UsageError(
            f"{target} and --recipe {named} both say what is to be trained"
            if target
            else "what is to be trained?",
            remedy="zoo train RECIPE, zoo train --recipe RECIPE --data DIR, "
            "or zoo train MODEL --data DIR",
        )
    return target or named or ""


def _refuse_model(name: str) -> None:
    """A name without data is a recipe's. Of a model without one, say what is missing."""
    from zoo.registry import catalogue, default_registry, names
    from zoo.registry.recipes import find_recipe

    registry = default_registry()
    if find_recipe(name, registry) is not None:
        return
    short = name[: names.LONGEST]
    close = names.did_you_mean(short, registry.recipes)
    try:
        names.parse(name, registry)
    except UnknownNameError:
        known = [*registry.recipes, *catalogue.list_models(), *catalogue.list_backbones()]
        raise UnknownNameError(
            f"there is no recipe and no model {short!r}{names.did_you_mean(short, known)}",
            remedy="zoo list --recipes, or zoo list",
        ) from None
    raise UsageError(
        f"on which images is {name} to be trained? there is no recipe of this name{close}",
        remedy=f"zoo train {name} --data DIR, a folder with a folder of images per class",
    )


def _finetuning(model: str, data: str, chosen: dict[str, Any]) -> tuple[StagedRecipe, Path | None]:
    from zoo.recipes import StagedRecipe, finetune_recipe, to_toml

    _refuse_recipe(model, data)
    recipe = finetune_recipe(model, data, **chosen)
    folder = Path(data).expanduser()
    staged = StagedRecipe(
        name=Path(model).name, stages=(recipe,), notes="", text=to_toml(recipe).encode(), where=""
    )
    return staged, folder if folder.exists() else None


def _refuse_recipe(name: str, data: str) -> None:
    """With data, a name is a model's. Say so of one that only a recipe has."""
    from zoo.registry import default_registry, names
    from zoo.registry.recipes import find_recipe

    registry = default_registry()
    if find_recipe(name, registry) is None:
        return
    try:
        names.parse(name, registry)
    except UnknownNameError as error:
        raise UsageError(
            f"with --data, {name} is read as the name of a model, and {error.what}",
            remedy=f"{_as_recipe(name, data)}, for the recipe of this name",
        ) from None


def _as_recipe(name: str, data: str | None) -> str:
    return f"zoo train --recipe {name} --data {data}"


def hinted(error: DataError, name: str, data: str | None) -> DataError:
    """The error, with what else the name and --data mean: the data may be that recipe's."""
    from zoo.registry import default_registry
    from zoo.registry.recipes import find_recipe

    if find_recipe(name, default_registry()) is None:
        return error
    hint = f"{_as_recipe(name, data or 'DIR')}, for the recipe of this name"
    remedy = f"{error.remedy}; {hint}" if error.remedy else hint
    return type(error)(error.what, where=error.where, remedy=remedy)
