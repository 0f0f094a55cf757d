"""A training recipe: TOML is read into frozen data, with every key known and every type checked."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from zoo.data.splits import synonyms
from zoo.errors import RecipeError

T = TypeVar("T")
NEWER = {
    "": ("amp", "channels_last"), "data": ("label_noise", "splits"),
    "optimizer": ("drops", "fused"),
    "augment": ("crop", "flip"),
}  # fmt: skip
_TEST = synonyms("test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Which images are trained on. The test set is never read.

    Attributes:
        name: the name of the data set.
        splits: the parts of the data set that are taken together; if none is named, `train`.
        holdout: how many images are kept for validation: a number of all, or a list with one number
            for each split.
        holdout_seed: the seed that draws them.
        label_noise: the share of the other images that get a wrong label.
    """

    name: str
    splits: list[str] = field(default_factory=list[str])
    holdout: int | list[int] = 0
    holdout_seed: int = 0
    label_noise: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """The optimizer and its schedule.

    Attributes:
        name: as in `timm.optim.create_optimizer_v2`.
        lr: the peak of the one-cycle schedule. With `drops` it is the first rate instead.
        drops: shares of the steps after each of which the rate is divided by ten.
        fused: whether PyTorch's fused implementation is used.
    """

    name: str = "adamw"
    lr: float
    weight_decay: float = 0.0
    warmup: float = 0.3
    clip_norm: float = 0.0
    drops: list[float] = field(default_factory=list[float])
    fused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """Random distortions of training images, each uniform in plus or minus its limit, by default 0.

    Attributes:
        rotate: in degrees.
        shear: as a fraction.
        scale: in log units.
        translate: in pixels.
        elastic: the standard deviation in pixels of a smooth displacement field, drawn on a grid of
            5 by 5 points.
        crop: moves an image by up to so many whole pixels.
        flip: mirrors one image in two.
    """

    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    translate: float = 0.0
    elastic: float = 0.0
    crop: int = 0
    flip: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What trains a model.

    Attributes:
        model, model_options: as for `zoo.create_model`.
        weights: a tag or a file to start from. If it is empty, training starts from scratch.
        epochs, batch_size, seed: of the run. The last batch of an epoch is left out if it is
            incomplete.
        ema_decay: the decay of the averaged weights, which are what is measured and saved. With 0
            there is no averaging.
        amp: train in bfloat16 where autocast allows it. Measuring is in float32.
        channels_last: the memory format of model and images.
        validate_every: the number of epochs between measurements on the held-out images.
        save_half: save the weights in float16, which halves the file. They are loaded as float32
            again.
        objective: options of the model's objective.
        notes: evidence for the reader. Nothing depends on it.
    """

    model: str
    epochs: int
    batch_size: int
    seed: int = 0
    ema_decay: float = 0.0
    amp: bool = False
    channels_last: bool = False
    validate_every: int = 1
    save_half: bool = False
    weights: str = ""
    notes: str = ""
    data: Data
    optimizer: Optimizer
    augment: Augment = field(default_factory=Augment)
    model_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    objective: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def digest(self) -> str:
        """The SHA-256 of all that decides the result. A checkpoint must agree with it."""
        content = dataclasses.asdict(self)
        del content["notes"], content["save_half"]
        for table, keys in NEWER.items():  # a run that began before there were these goes on
            part = content[table] if table else content
            for key in [key for key in keys if not part[key]]:
                del part[key]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _at_least(least: int) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value >= least, f"{least} or more"


_SEED = lambda value: 0 <= value < 2**32, "a whole number from 0 to less than 2**32"


def _is_new(splits: list[str]) -> bool:
    return len(set(splits)) == len(splits) and not set(splits) & set(_TEST)


_ANGLE = lambda value: 0 <= value < 90, "from 0 to less than 90"
BOUNDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "epochs": _at_least(1),
    "batch_size": _at_least(1),
    "validate_every": _at_least(1),
    "seed": _SEED,
    "ema_decay": (lambda value: 0 <= value < 1, "from 0 to less than 1"),
    "data.splits": (_is_new, "each split once, and never the test set"),
    "data.holdout": (
        lambda value: min(value if isinstance(value, list) else [value], default=0) >= 0,
        "0 or more",
    ),
    "data.holdout_seed": _SEED,
    "data.label_noise": (lambda value: 0 <= value < 1, "from 0 to less than 1"),
    "optimizer.lr": (lambda value: 0 < value < float("inf"), "more than 0"),
    "optimizer.weight_decay": (lambda value: 0 <= value < float("inf"), "0 or more"),
    "optimizer.warmup": (lambda value: 0 < value < 1, "between 0 and 1"),
    "optimizer.clip_norm": (lambda value: 0 <= value < float("inf"), "0 or more; 0 is none"),
    "optimizer.drops": (
        lambda value: all(0 < share < 1 for share in value),
        "shares of the steps, between 0 and 1",
    ),
}


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe. One `RecipeError` names the first wrong key."""
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"recipe cannot be read: {error.strerror}", where=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe is not TOML: {error}", where=str(path)) from error
    recipe = _build(Recipe, table, str(path), "")
    _check_bounds(recipe, str(path))
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
    return f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING


def _value(hint: Any, value: Any, path: str, key: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise RecipeError(f"{key} is not a table", where=path, remedy=f"[{key}]")
        return _build(hint, value, path, f"{key}.")
    if hint is float and type(value) is int:
        value = float(value)
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


def _check_bounds(recipe: Recipe, path: str) -> None:
    values = dataclasses.asdict(recipe)
    bounds = {**BOUNDS, **{f"augment.{key}": _ANGLE for key in values["augment"]}}
    for key, (fits, allowed) in bounds.items():
        table, _, last = key.rpartition(".")
        value = (values[table] if table else values)[last]
        if not fits(value):
            raise RecipeError(f"{key} = {value!r} is out of range", where=path, remedy=allowed)
    splits, holdout = recipe.data.splits, recipe.data.holdout
    if isinstance(holdout, list) and len(holdout) != max(1, len(splits)):
        raise RecipeError(
            f"data.holdout = {holdout} is not one number for each of data.splits = {splits}",
            where=path,
            remedy="a list as long, or one number: that many of all together",
        )
