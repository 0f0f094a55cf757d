"""From a recipe to a trainer that is ready to start: data, model, objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo.build.create import create_model
from zoo.data.preprocessing import Preprocessing, ToPixels
from zoo.errors import DataError, HubError, OptionError, RecipeError, WeightsNotFoundError
from zoo.feeding.data import TrainingData, training_data
from zoo.feeding.feed import InMemory
from zoo.feeding.mixing import Mixing
from zoo.feeding.opened import OpenedData, open_for_training
from zoo.feeding.order import Order
from zoo.feeding.photographs import Augmented, Plain, Streamed, StreamedHeldOut, augmented
from zoo.recipes import ImageSettings, Recipe
from zoo.registry import default_registry
from zoo.registry.specs import WeightsSpec
from zoo.registry.targets import resolve
from zoo.runtime.processes import Processes, cores
from zoo.training.loop import Trainer
from zoo.training.objective import BinaryCrossEntropy, CrossEntropy, build_objective
from zoo.training.parts import train_only
from zoo.training.start import Start
from zoo.training.teacher import distilled

MOST_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Prepared:
    """A trainer, the images of any size that it trains on, if it does, files to be written, and
    the weights that it started from, if the recipe does not name them.
    """

    trainer: Trainer
    data: OpenedData | None = None
    papers: dict[str, bytes] = field(default_factory=dict[str, bytes])
    start: Start | None = None

    @property
    def marks(self) -> dict[str, str]:
        """Digests of the data, for its checkpoint; empty for images in memory, which their name
        stands for.
        """
        data = self.data
        return {"data": data.digest if data else "", "files": data.files if data else ""}


def prepare(
    recipe: Recipe,
    data: Path | None,
    processes: Processes,
    workers: int | None = None,
    found: TrainingData | None = None,
    start: Start | None = None,
) -> Prepared:
    """Build all that a run needs, and check that it fits together.

    Args:
        data: the folder with the training files. None is where the data set looks by itself.
        workers: how many processes decode images of any size; by default one for each core.
        found: the images in memory, if they were read before.
        start: the weights to start from, in place of those that the recipe names.

    Raises:
        DataError: the data cannot be read, or are not what the model takes.
        RecipeError: something that the recipe asks for cannot be.
    """
    torch.manual_seed(recipe.seed)
    if recipe.images is None:
        return Prepared(_from_memory(recipe, data, processes, found, start), start=start)
    opened = open_for_training(recipe.data, data)
    _check_batch(recipe, len(opened.train))
    _check_pairs(recipe, recipe.images, processes)
    model, spec = build_model(recipe, len(opened.classes), start)
    settings = _own_settings(model, recipe.images, opened.classes)
    objective = objective_of(recipe, model, spec.objective if spec else "", processes.device)
    count = max(1, min(MOST_WORKERS, cores() // processes.count)) if workers is None else workers
    blocks = opened.train.blocks
    order = Order(
        len(opened.train), recipe.batch_size, recipe.seed, recipe.images.repeats,
        None if blocks is None else torch.from_numpy(blocks),
    )  # fmt: skip
    dataset = Augmented(opened.train, augmented(recipe.images, settings), recipe.seed)
    trainer = Trainer(
        recipe, model, objective,
        Streamed(dataset, order, processes, count),
        StreamedHeldOut(Plain(opened.held_out, ToPixels(settings)), count),
        normalise=(settings.mean, settings.std),
        mixing=Mixing.of(recipe.images, len(opened.classes), recipe.seed, processes),
        processes=processes,
    )  # fmt: skip
    return Prepared(trainer, opened, start=start)


def _from_memory(
    recipe: Recipe, data: Path | None, processes: Processes, found: TrainingData | None,
    start: Start | None,
) -> Trainer:  # fmt: skip
    model, spec = build_model(recipe, start=start)
    objective = objective_of(recipe, model, spec.objective if spec else "", processes.device)
    found = found or training_data(recipe, data)
    _check_batch(recipe, len(found.train))
    _check_fit(recipe.data.name, found, model)
    order = Order(len(found.train), recipe.batch_size, recipe.seed)
    return Trainer(
        recipe, model, objective,
        InMemory(found.train.to(processes.device), order, processes),
        found.held_out.to(processes.device),
        normalise=_normalisation(model, found.channels), processes=processes,
    )  # fmt: skip


def _check_batch(recipe: Recipe, count: int) -> None:
    if count < recipe.batch_size:
        raise RecipeError(
            f"batch_size = {recipe.batch_size} is more than {count} images",
            remedy=f"a batch size of at most {count}",
        )


def _check_pairs(recipe: Recipe, images: ImageSettings, processes: Processes) -> None:
    """Mixup and CutMix pair the images of a process."""
    own = recipe.batch_size // processes.count
    if own % 2 and (images.mixup or images.cutmix):
        raise RecipeError(
            f"Mixup and CutMix pair images, and each of {processes.count} processes has {own}",
            where=f"batch_size = {recipe.batch_size}",
            remedy=f"a multiple of {2 * processes.count}",
        )


def build_model(
    recipe: Recipe, num_classes: int | None = None, start: Start | None = None
) -> tuple[nn.Module, Any]:
    """The model that a recipe starts from, and its spec if it has one.

    Args:
        num_classes: that of the data. None is the model's own.
        start: the weights to start from, in place of those that the recipe names.
    """
    spec = default_registry().models.get(recipe.model)
    # Training is for the model's own classes, whatever those of the weights it starts from.
    classes = {k: v for k, v in (spec.defaults if spec else {}).items() if k == "num_classes"}
    if num_classes is not None:
        classes = {"num_classes": num_classes}
    options = {**classes, **recipe.model_options}
    if num_classes not in (None, options.get("num_classes")):
        raise DataError(
            f"{recipe.data.name} has {num_classes} classes, and the recipe says "
            f"{options['num_classes']}",
            where="model_options.num_classes",
            remedy="leave it out, or the data set that the recipe is for",
        )
    model = _started(recipe, options, start)
    train_only(model, recipe.train)
    if recipe.checkpointing:
        _checkpoint_activations(model)
    return model, spec


def _started(recipe: Recipe, options: Mapping[str, Any], start: Start | None) -> nn.Module:
    """The model with the weights that it starts from."""
    weights = start.file if start else _named_weights(recipe.weights)
    given = {"weights": weights, "backbone_weights": recipe.backbone_weights}
    chosen: dict[str, Any] = {key: value for key, value in given.items() if value}
    try:
        return create_model(recipe.model, recipe.pretrained, **chosen, **options)
    except (WeightsNotFoundError, HubError) as error:
        if not recipe.pretrained:
            raise
        instead = (
            "leave out --pretrained to train from scratch, or start from a file: --weights FILE, "
            "or --backbone-weights FILE for one of the plain backbone"
        )
        if isinstance(error, HubError) and error.remedy:
            instead = f"{error.remedy}; or {instead}"
        raise type(error)(error.what, where=error.where, remedy=instead) from error


def _named_weights(name: str) -> str | WeightsSpec:
    """The weights `<model>.<tag>` of any model; what is no such name is for `create_model`."""
    model, _, tag = name.partition(".")
    return default_registry().weights.get((model, tag), name)


def _checkpoint_activations(model: Any) -> None:
    try:
        model.set_grad_checkpointing(True)
    except (AttributeError, AssertionError) as error:
        raise RecipeError(
            f"{type(model).__name__} cannot compute its activations a second time",
            where="checkpointing",
            remedy="checkpointing = false, and accumulate = 2 or more to take less memory",
        ) from error


def _own_settings(model: Any, images: ImageSettings, classes: tuple[str, ...]) -> Preprocessing:
    """The preprocessing of the run. The model will say it of itself, and what its classes are."""
    settings = Preprocessing.of(model)
    channels, height, width = settings.input_size
    if images.size and (height, width) != (images.size, images.size):
        if model.pretrained_cfg.get("fixed_input_size"):
            raise RecipeError(
                f"{type(model).__name__} takes images of {height} x {width} only",
                where=f"images.size = {images.size}",
                remedy=f"model_options.img_size = {images.size} as well",
            )
        settings = replace(settings, input_size=(channels, images.size, images.size))
    stated = {"num_classes": len(classes), "label_names": list(classes), "label_descriptions": None}
    sizes = {"input_size": settings.input_size, "test_input_size": None}
    model.pretrained_cfg.update(stated | sizes)
    return settings


def objective_of(recipe: Recipe, model: nn.Module, target: str, device: torch.device) -> Any:
    """What a recipe minimises: the objective that the spec of the model names, or cross-entropy."""
    build: Any = resolve(target, f"model {recipe.model!r}") if target else CrossEntropy
    if recipe.loss == "bce":
        build = BinaryCrossEntropy
    try:
        objective = build_objective(build, model, recipe.objective)
    except (TypeError, OptionError) as error:
        raise RecipeError(f"objective: {error}", where=f"recipe of {recipe.model}") from error
    if recipe.compile:
        _compile(model, objective)
    return distilled(objective, model, recipe.distill, device) if recipe.distill else objective


def _compile(model: nn.Module, objective: Any) -> None:
    """Compile what the objective calls of the model.

    The objective keeps a compiled method; set on the model, its copies would call the original's.
    """
    method = getattr(objective, "calls", "forward")
    if method is None:
        raise RecipeError(
            f"what {type(objective).__name__} does cannot be compiled",
            where="compile = true",
            remedy="compile = false",
        )
    if method == "forward":
        model.compile()
    else:
        setattr(objective, method, torch.compile(getattr(model, method)))


def _check_fit(name: str, found: TrainingData, model: nn.Module) -> None:
    """Refuse images whose channels or classes are not the model's."""
    channels = found.channels
    settings = getattr(model, "pretrained_cfg", None) or {}
    wanted = getattr(model, "in_chans", settings.get("input_size", (channels,))[0])
    if wanted != channels:
        raise DataError(
            f"the images of {name} have {channels} channels, the model takes {wanted}",
            remedy=f"model_options.in_chans = {channels}",
        )
    classes, known = found.num_classes, getattr(model, "num_classes", None)
    if known is not None and known < classes:
        raise DataError(
            f"{name} has {classes} classes, the model {known}",
            remedy=f"model_options.num_classes = {classes}",
        )


def _normalisation(model: nn.Module, channels: int) -> tuple[tuple[float, ...], ...]:
    """The model's mean and std; for another number of channels, their average in each."""
    settings = getattr(model, "pretrained_cfg", None) or {}
    stated = settings.get("mean", (0.0,)), settings.get("std", (1.0,))
    return tuple(
        tuple(values) if len(values) == channels else (sum(values) / len(values),) * channels
        for values in stated
    )
