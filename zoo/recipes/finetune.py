"""The recipe with which `zoo train MODEL --data FOLDER` fine-tunes a model."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from zoo.errors import OptionError
from zoo.recipes.read import parse_recipe
from zoo.recipes.recipe import Recipe
from zoo.recipes.tables import Data, ImageSettings, Optimizer, Schedule

TABLES = ("data", "optimizer", "schedule", "images")


def finetune_recipe(model: str, data: str | Path, **settings: Any) -> Recipe:
    """A recipe for fine-tuning with good defaults, some of which may be given.

    Those are: AdamW with a rate of 5e-4 that falls along a cosine after one epoch of warm-up, 10
    epochs, batches of 32, crops of at least 35 % of an image, mirroring, label smoothing of 0.1,
    and a fifth of the images held out where the data have no validation split. The weights of the
    best epoch are kept.

    Args:
        model: a name, as for `zoo.create_model`.
        data: the name of a data set, or a folder. The recipe keeps the last part of its path.
        **settings: keys of a `Recipe`, and of its tables `data`, `optimizer`, `schedule` and
            `images`, such as `epochs=5`, `lr=1e-4`, `mixup=0.2`; or a whole table by its name.

    Raises:
        OptionError: a setting that no table has.
        RecipeError: it is of another type, or out of range.
    """
    name = Path(data).expanduser().absolute().name if Path(data).expanduser().exists() else data
    recipe = Recipe(
        model=model, epochs=10, batch_size=32, channels_last=True, keep="best",
        data=Data(name=str(name), holdout_share=0.2),
        optimizer=Optimizer(lr=5e-4, weight_decay=0.05, clip_norm=1.0),
        schedule=Schedule(warmup_epochs=1.0),
        images=ImageSettings(scale=[0.35, 1.0]),
        objective={"label_smoothing": 0.1},
    )  # fmt: skip
    recipe = _changed(recipe, settings)
    recipe = _short_enough(recipe, settings)
    table = {key: value for key, value in asdict(recipe).items() if value is not None}
    return parse_recipe(table, f"fine-tuning {model}")


def _changed(recipe: Recipe, settings: dict[str, Any]) -> Recipe:
    """The recipe with each setting put where it belongs."""
    own = {field.name for field in fields(Recipe)}
    tables: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
    top: dict[str, Any] = {}
    for key, value in settings.items():
        homes = [
            t for t in TABLES if key in {f.name for f in fields(getattr(recipe, t))} - {"name"}
        ]
        if key in own:
            top[key] = value
        elif homes:
            tables[homes[0]][key] = value
        else:
            raise OptionError(f"a recipe has no setting {key!r}", remedy="see docs/fine-tune.md")
    changed = {name: replace(getattr(recipe, name), **given) for name, given in tables.items()}
    return replace(recipe, **{**changed, **top})


def _short_enough(recipe: Recipe, settings: dict[str, Any]) -> Recipe:
    """The default warm-up of one epoch is for runs of several."""
    if recipe.epochs != 1 or "warmup_epochs" in settings or recipe.schedule is None:
        return recipe
    return replace(recipe, schedule=replace(recipe.schedule, warmup_epochs=0.1))
