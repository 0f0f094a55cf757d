"""A training recipe: TOML read into frozen data, every key known, every type checked."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

from zoo.errors import RecipeError

T = TypeVar("T")
NEWER = {
    "": ("amp", "channels_last"), "data": ("label_noise",), "optimizer": ("drops", "fused"),
    "augment": ("crop", "flip"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Which images: `holdout` of the training images are drawn with `holdout_seed` and kept for
    validation. The test set is never read. `label_noise` is the share of the others that get a
    wrong label."""

    name: str
    holdout: int = 0
    holdout_seed: int = 0
    label_noise: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """`name` as in `timm.optim.create_optimizer_v2`; `lr` is the peak of the one-cycle schedule.

    With `drops` it is the first rate instead, divided by ten after each of these shares of the
    steps. `fused`: PyTorch's fused implementation.
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
    """Random distortions of training images, each uniform in plus or minus its limit.

    `rotate` and `shear` in degrees and as a fraction, `scale` in log units, `translate` in pixels;
    `elastic` is the standard deviation in pixels of a smooth displacement field, drawn on a grid of
    5 by 5 points. `crop` moves by up to so many whole pixels, `flip` mirrors one image in two. All
    zero: none.
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
        weights: a tag or a file to start from; empty is from scratch.
        epochs, batch_size, seed: of the run; the last incomplete batch of an epoch is left out.
        ema_decay: of the averaged weights, which are what is measured and saved; 0 is none.
        amp: bfloat16 where autocast allows it, in training; measured in float32.
        channels_last: memory format of model and images.
        validate_every: epochs between measurements on the held-out images.
        objective: options of the model's objective.
        notes: evidence for the reader; nothing depends on it.
    """

    model: str
    epochs: int
    batch_size: int
    seed: int = 0
    ema_decay: float = 0.0
    amp: bool = False
    channels_last: bool = False
    validate_every: int = 1
    weights: str = ""
    notes: str = ""
    data: Data
    optimizer: Optimizer
    augment: Augment = field(default_factory=Augment)
    model_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    objective: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def digest(self) -> str:
        """What a checkpoint must agree with: sha256 of all that decides the result."""
        content = dataclasses.asdict(self)
        del content["notes"]
        for table, keys in NEWER.items():  # a run that began before there were these goes on
            part = content[table] if table else content
            for key in [key for key in keys if not part[key]]:
                del part[key]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe; one `RecipeError` names the first wrong key."""
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
    allowed: Any = get_origin(hint) or hint
    if allowed is float and type(value) is int:
        value = float(value)
    if not isinstance(value, allowed) or (isinstance(value, bool) and allowed is not bool):
        raise RecipeError(f"{key} = {value!r} is not of type {allowed.__name__}", where=path)
    return value


def _check_bounds(recipe: Recipe, path: str) -> None:
    r = recipe
    bounds = {
        "epochs": r.epochs >= 1,
        "batch_size": r.batch_size >= 1,
        "validate_every": r.validate_every >= 1,
        "seed": r.seed >= 0,
        "ema_decay": 0 <= r.ema_decay < 1,
        "data.holdout": r.data.holdout >= 0,
        "data.label_noise": 0 <= r.data.label_noise < 1,
        "optimizer.lr": 0 < r.optimizer.lr < float("inf"),
        "optimizer.weight_decay": 0 <= r.optimizer.weight_decay < float("inf"),
        "optimizer.warmup": 0 < r.optimizer.warmup < 1,
        "optimizer.clip_norm": 0 <= r.optimizer.clip_norm < float("inf"),
        "optimizer.drops": all(_is_share(drop) for drop in r.optimizer.drops),
    }
    bounds |= {f"augment.{k}": 0 <= v < 90 for k, v in dataclasses.asdict(r.augment).items()}
    wrong = [key for key, good in bounds.items() if not good]
    if wrong:
        raise RecipeError(f"{wrong[0]} is out of range", where=path)


def _is_share(value: Any) -> bool:
    return isinstance(value, float) and 0 < value < 1
