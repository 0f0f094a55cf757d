"""What the values of a recipe may be, and which of them cannot stand together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from zoo.data.splits import synonyms
from zoo.errors import RecipeError
from zoo.recipes.recipe import Recipe, defaults
from zoo.recipes.tables import Augment, Optimizer

TRAINED = ("all", "attention", "head")
OF_GROUPS = ("layer_decay", "attention_scale", "classifier_scale")  # rates of groups of parameters
STEPS = ("step", "multistep")  # timm's schedules that lower the rate from time to time,
TIMMS_STEP = 90  # for the first time after so many epochs
_TEST = synonyms("test")


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
    optimizer, none = recipe.optimizer, defaults(Optimizer)
    given = [key for key in OF_GROUPS if getattr(optimizer, key) != none[key]]
    if given and recipe.schedule is None:
        yield f"optimizer.{given[0]} needs one of timm's schedules", "a table [schedule]"
    if recipe.schedule and (optimizer.drops or optimizer.warmup != none["warmup"]):
        yield "[schedule] takes the place of optimizer.warmup and optimizer.drops", "one of them"
    if recipe.schedule and recipe.schedule.warmup_epochs >= recipe.epochs:
        yield "schedule.warmup_epochs is not less than epochs", "a shorter warm-up"
    if recipe.schedule and recipe.schedule.name in STEPS and recipe.epochs <= TIMMS_STEP:
        what = f"schedule.name = {recipe.schedule.name!r} lowers the rate after {TIMMS_STEP} epochs"
        yield f"{what}, and there are {recipe.epochs}", "optimizer.drops without [schedule]"
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
    if recipe.images and recipe.images.mixup + recipe.images.cutmix and recipe.batch_size % 2:
        yield "Mixup and CutMix pair the images of a batch, and batch_size is odd", "an even number"
