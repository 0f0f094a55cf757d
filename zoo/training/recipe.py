"""A training recipe: TOML is read into frozen data, with every key known and every type checked."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from zoo.data.splits import synonyms
from zoo.errors import RecipeError
from zoo.registry import default_registry
from zoo.registry.recipes import find_recipe
from zoo.training.tables import Augment, Data, Distill, ImageSettings, Optimizer, Schedule

__all__ = [
    "Augment", "Data", "Distill", "ImageSettings", "Optimizer", "Recipe", "Schedule", "read_recipe",
]  # fmt: skip

T = TypeVar("T")
NEWER = {
    "": (
        "amp", "channels_last", "pretrained", "backbone_weights", "train", "keep", "loss",
        "distill", "accumulate", "checkpointing", "compile", "schedule", "images",
    ),
    "data": ("label_noise", "splits", "holdout_share"),
    "optimizer": ("drops", "fused", "layer_decay", "attention_scale", "classifier_scale"),
    "augment": ("crop", "flip"),
}  # fmt: skip
TRAINED = ("all", "attention", "head")
_TEST = synonyms("test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What trains a model.

    Attributes:
        model, model_options: as for `zoo.create_model`.
        weights: a tag, `<model>.<tag>` of any model, or a file to start from. If it is empty,
            training starts from scratch.
        pretrained, backbone_weights: start from weights as by `zoo.create_model` instead.
        epochs, batch_size, seed: of the run. The last batch of an epoch is left out if it is
            incomplete.
        ema_decay: the decay of the averaged weights, which are what is measured and saved. With 0
            there is no averaging.
        amp: train in bfloat16 where autocast allows it. Measuring is in float32.
        accumulate: the number of equal parts in which a batch is computed, one after the other,
            which takes less memory. Their gradients are added up before the one step.
        checkpointing: compute activations a second time in the backward pass rather than keep them.
        compile: compile the model with `torch.compile`.
        channels_last: the memory format of model and images.
        validate_every: the number of epochs between measurements on the held-out images.
        save_half: save the weights in float16, which halves the file. They are loaded as float32
            again.
        keep: which weights the run's file has: the `"last"`, or those of the epoch that was
            `"best"` on the held-out images.
        train: which parameters are trained: `"all"`, `"attention"` (and the classifier, if it is
            new), or `"head"`, the classifier alone. Norms of what is not trained keep their
            statistics.
        loss: `"bce"` for binary cross-entropy. Empty is the model's own objective, or cross-entropy
            if it has none.
        objective: options of the model's objective.
        schedule: one of timm's schedules, in place of the one-cycle schedule.
        images: read images of any size, and augment them as timm does.
        distill: learn from the answers of another model too.
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
    pretrained: bool = False
    backbone_weights: str = ""
    accumulate: int = 1
    checkpointing: bool = False
    compile: bool = False
    keep: str = "last"
    train: str = "all"
    loss: str = ""
    notes: str = ""
    data: Data
    optimizer: Optimizer
    schedule: Schedule | None = None
    images: ImageSettings | None = None
    distill: Distill | None = None
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
            unused = _defaults(type(getattr(self, table)) if table else Recipe)
            for key in [key for key in keys if part[key] == unused[key]]:
                del part[key]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _defaults(cls: Any) -> dict[str, Any]:
    """What each field of a table is where nobody states it."""
    fields = dataclasses.fields(cls)
    made = {f.name: f.default_factory() for f in fields if f.default_factory is not MISSING}
    return {**{f.name: f.default for f in fields}, **made}


def _at_least(least: int) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value >= least, f"{least} or more"


_SEED = lambda value: 0 <= value < 2**32, "a whole number from 0 to less than 2**32"


def _is_new(splits: list[str]) -> bool:
    return len(set(splits)) == len(splits) and not set(splits) & set(_TEST)


_ANGLE = lambda value: 0 <= value < 90, "from 0 to less than 90"
_SHARE = lambda value: 0 <= value < 1, "from 0 to less than 1"
_CHANCE = lambda value: 0 <= value <= 1, "from 0 to 1"
_POSITIVE = lambda value: 0 < value < float("inf"), "more than 0"
_NOT_NEGATIVE = lambda value: 0 <= value < float("inf"), "0 or more"


def _one_of(*words: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in words, f"one of {', '.join(map(repr, words))}"


def _range(least: float, most: float) -> tuple[Callable[[Any], bool], str]:
    return (
        lambda value: len(value) == 2 and least < value[0] <= value[1] <= most,
        f"two numbers, the smaller first, more than {least:g}",
    )


BOUNDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "epochs": _at_least(1),
    "batch_size": _at_least(1),
    "validate_every": _at_least(1),
    "accumulate": _at_least(1),
    "seed": _SEED,
    "ema_decay": _SHARE,
    "keep": _one_of("last", "best"),
    "train": _one_of(*TRAINED),
    "loss": _one_of("", "bce"),
    "data.splits": (_is_new, "each split once, and never the test set"),
    "data.holdout": (
        lambda value: min(value if isinstance(value, list) else [value], default=0) >= 0,
        "0 or more",
    ),
    "data.holdout_seed": _SEED,
    "data.holdout_share": _SHARE,
    "data.label_noise": _SHARE,
    "optimizer.lr": _POSITIVE,
    "optimizer.weight_decay": _NOT_NEGATIVE,
    "optimizer.warmup": (lambda value: 0 < value < 1, "between 0 and 1"),
    "optimizer.clip_norm": (lambda value: 0 <= value < float("inf"), "0 or more; 0 is none"),
    "optimizer.drops": (
        lambda value: all(0 < share < 1 for share in value),
        "shares of the steps, between 0 and 1",
    ),
    "optimizer.layer_decay": (lambda value: 0 <= value <= 1, "from 0 to 1; 0 is none"),
    "optimizer.attention_scale": _POSITIVE,
    "optimizer.classifier_scale": _POSITIVE,
    "schedule.warmup_epochs": _NOT_NEGATIVE,
    "schedule.warmup_lr": _NOT_NEGATIVE,
    "schedule.min_lr": _NOT_NEGATIVE,
    "distill.weight": _CHANCE,
    "distill.temperature": _POSITIVE,
    "images.size": _NOT_NEGATIVE,
    "images.scale": (lambda value: not value or _range(0, 1)[0](value), "[] or " + _range(0, 1)[1]),
    "images.ratio": _range(0, float("inf")),
    "images.hflip": _CHANCE,
    "images.vflip": _CHANCE,
    "images.color_jitter": _NOT_NEGATIVE,
    "images.random_erasing": _CHANCE,
    "images.interpolation": _one_of("random", "bilinear", "bicubic", "nearest"),
    "images.mixup": _NOT_NEGATIVE,
    "images.cutmix": _NOT_NEGATIVE,
    "images.mix_prob": _CHANCE,
    "images.repeats": _at_least(1),
}


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe of one stage. One `RecipeError` names the first wrong key."""
    path = Path(path)
    table = toml_table(read_toml(path), str(path))
    if "stages" in table:
        raise RecipeError(
            "the recipe has stages, and one alone is needed here",
            where=str(path),
            remedy="zoo.training.staged.read_staged, or a recipe without [[stages]]",
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


def check(recipe: Recipe, path: str) -> None:
    """Refuse values out of bounds, and tables that contradict each other.

    Raises:
        RecipeError: it names the first wrong key.
    """
    values = dataclasses.asdict(recipe)
    bounds = {**BOUNDS, **{f"augment.{key}": _ANGLE for key in values["augment"]}}
    for key, (fits, allowed) in bounds.items():
        table, _, last = key.rpartition(".")
        part = values[table] if table else values
        if part is not None and not fits(part[last]):
            raise RecipeError(f"{key} = {part[last]!r} is out of range", where=path, remedy=allowed)
    splits, holdout = recipe.data.splits, recipe.data.holdout
    if isinstance(holdout, list) and len(holdout) != max(1, len(splits)):
        raise RecipeError(
            f"data.holdout = {holdout} is not one number for each of data.splits = {splits}",
            where=path,
            remedy="a list as long, or one number: that many of all together",
        )
    for what, instead in _contradictions(recipe):
        raise RecipeError(what, where=path, remedy=instead)


def _contradictions(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Each pair of settings that cannot hold together, and what to write instead."""
    optimizer, none = recipe.optimizer, _defaults(Optimizer)
    given = [key for key in NEWER["optimizer"][2:] if getattr(optimizer, key) != none[key]]
    if given and recipe.schedule is None:
        yield f"optimizer.{given[0]} needs one of timm's schedules", "a table [schedule]"
    if recipe.schedule and (optimizer.drops or optimizer.warmup != none["warmup"]):
        yield "[schedule] takes the place of optimizer.warmup and optimizer.drops", "one of them"
    if recipe.schedule and recipe.schedule.warmup_epochs >= recipe.epochs:
        yield "schedule.warmup_epochs is not less than epochs", "a shorter warm-up"
    if recipe.images and recipe.augment != Augment():
        yield "[augment] is for images in memory, and there is [images]", "the keys of [images]"
    if recipe.images and (recipe.data.label_noise or isinstance(recipe.data.holdout, list)):
        yield "data.label_noise and lists of data.holdout are for images in memory", "leave it out"
    if not recipe.images and recipe.data.holdout_share:
        yield "data.holdout_share is for [images]", "data.holdout, a number of images"
    if recipe.weights and (recipe.pretrained or recipe.backbone_weights):
        yield "weights, pretrained and backbone_weights each say where to start", "one of them"
    if recipe.batch_size % recipe.accumulate:
        yield "batch_size is not a multiple of accumulate", "equal parts"
    if (
        recipe.images
        and recipe.images.mixup + recipe.images.cutmix
        and (recipe.batch_size // recipe.accumulate % 2)
    ):
        yield "Mixup and CutMix pair the images of a batch, and batch_size is odd", "an even number"
