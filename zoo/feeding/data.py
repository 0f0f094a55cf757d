"""Training images, held in memory as bytes or drawn anew in each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import ConcatDataset

from zoo.data.modes import is_grey, to_mode
from zoo.errors import DataError, RecipeError, UnknownNameError
from zoo.feeding.joined import join
from zoo.feeding.noise import mislabel
from zoo.recipes import Data, Recipe
from zoo.registry import default_registry
from zoo.registry.targets import resolve

HELD_OUT_BATCH = 500


@dataclass(frozen=True, slots=True)
class Images:
    """Images uint8 (N, C, H, W) with labels int64 (N,), or (N, L) where an image has several."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor | slice) -> Images:
        return Images(self.images[index], self.labels[index])

    def to(self, device: torch.device) -> Images:
        return Images(self.images.to(device), self.labels.to(device))

    def batch(self, index: Tensor, epoch: int) -> Images:
        """The same in each epoch."""
        return self[index]

    def batches(self) -> Iterator[Images]:
        """All images in order, as they are measured."""
        for chosen in torch.arange(len(self)).split(HELD_OUT_BATCH):
            yield self[chosen]


class Source(Protocol):
    """What training takes its batches from."""

    def __len__(self) -> int: ...

    def batch(self, index: Tensor, epoch: int) -> Images: ...

    def to(self, device: torch.device) -> Source: ...


@runtime_checkable
class Drawable(Protocol):
    """A data set whose images are drawn as they are needed, a batch at once.

    An image is a function of its index, the epoch and the seed alone, and the same on each device.
    Epoch 0 is what is measured, as items show it. The epochs of training count from 1.
    """

    num_classes: int | None

    def __len__(self) -> int: ...

    def draw(
        self, index: Tensor, *, epoch: int = 0, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """uint8 (B, C, H, W) and labels (B,) or (B, L)."""
        ...

    def subset(self, index: Tensor) -> Self: ...

    def to(self, device: torch.device) -> Self: ...


@dataclass(frozen=True, slots=True)
class Drawn:
    """A `Drawable` as a source: another picture of the same things in each epoch."""

    data: Drawable
    seed: int

    def __len__(self) -> int:
        return len(self.data)

    def batch(self, index: Tensor, epoch: int) -> Images:
        return Images(*self.data.draw(index, epoch=epoch + 1, seed=self.seed))

    def to(self, device: torch.device) -> Drawn:
        return Drawn(self.data.to(device), self.seed)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a recipe trains on, what it holds out, and what a model must fit."""

    train: Source
    held_out: Images
    channels: int
    num_classes: int


def training_data(recipe: Recipe, root: Path | None) -> TrainingData:
    """The training splits of the recipe's data set, without the part that is held out.

    That part is drawn with `data.holdout_seed`, whatever else is random. Where images are drawn as
    they are needed, they are drawn once for that part, from things (digits, say) that training
    never shows.

    Raises:
        UnknownNameError: there is no data set of that name.
        DataError: its files are absent or broken, or its images are not all of one size.
        RecipeError: too many images are held out.
    """
    settings = recipe.data
    parts = [_open(settings.name, root, split) for split in settings.splits or ("train",)]
    held, kept = _divide([len(part) for part in parts], settings)
    if isinstance(parts[0], Drawable):
        if settings.label_noise:
            raise RecipeError("data.label_noise is not for images that are drawn on the fly")
        dataset = join(parts)
        # Where nothing is held out, one image still tells the shape.
        held_out = _draw_all(dataset.subset(held if len(held) else kept[:1]), settings.holdout_seed)
        classes = dataset.num_classes or int(held_out.labels.max()) + 1
        source = Drawn(dataset.subset(kept), recipe.seed)
        channels = held_out.images.shape[1]
        return TrainingData(source, held_out[: len(held)], channels, classes)
    images = _in_memory(ConcatDataset(parts), torch.cat((held, kept)), settings.name)
    held_out, train = images[: len(held)], images[len(held) :]
    classes = int(images.labels.max()) + 1
    if settings.label_noise:
        labels = mislabel(train.labels, settings.label_noise, classes, recipe.seed)
        train = Images(train.images, labels)
    return TrainingData(train, held_out, images.images.shape[1], classes)


def _divide(sizes: list[int], settings: Data) -> tuple[Tensor, Tensor]:
    """Which of all images are held out, and which are trained on, both in random order."""
    generator = torch.Generator().manual_seed(settings.holdout_seed)
    if isinstance(settings.holdout, int):
        sizes, counts = [sum(sizes)], [settings.holdout]
    else:
        counts = settings.holdout
    held, kept, start = [], [], 0
    for size, count in zip(sizes, counts, strict=True):
        order = start + torch.randperm(size, generator=generator)
        if count >= size:
            raise RecipeError(
                f"data.holdout = {count} leaves none of {size} images to train on",
                remedy=f"less than {size}",
            )
        held.append(order[:count])
        kept.append(order[count:])
        start += size
    return torch.cat(held), torch.cat(kept)


def _draw_all(data: Drawable, seed: int) -> Images:
    """All images as they are measured, a thousand at a time: drawing takes much room."""
    parts = [data.draw(index, seed=seed) for index in torch.arange(len(data)).split(1000)]
    images, labels = zip(*parts, strict=True)
    return Images(torch.cat(images), torch.cat(labels))


def _open(name: str, root: Path | None, split: str) -> Any:
    registry = default_registry()
    spec = registry.datasets.get(name)
    if spec is None:
        raise UnknownNameError(
            f"there is no data set {name!r}",
            where="data.name",
            remedy=f"one of {', '.join(sorted(registry.datasets)) or 'none: see zoo plugins'}",
        )
    try:
        return resolve(spec.target, registry.owner(spec))(root, split)
    except DataError as error:  # which names the option of `zoo eval` where a split is absent
        remedy = error.remedy.replace("--split ", "data.splits of ")
        raise type(error)(error.what, where=error.where, remedy=remedy) from error


def _in_memory(dataset: Any, order: Tensor, name: str) -> Images:
    """All images in this order; read one by one, so that they are in memory only once."""
    place = order.argsort().tolist()
    images, labels = torch.empty(0, dtype=torch.uint8), [0] * len(place)
    for number in range(len(place)):
        image, labels[place[number]] = dataset[number]
        pixels = _channels_first(image)
        if not number:
            images = pixels.new_empty(len(place), *pixels.shape)
        if pixels.shape != images.shape[1:]:
            raise DataError(f"the images of {name} are not all of one size", where=name)
        images[place[number]] = pixels
    return Images(images, torch.from_numpy(np.array(labels, dtype=np.int64)))


def _channels_first(image: Any) -> Tensor:
    """A PIL image or a uint8 array, as uint8 (C, H, W)."""
    if isinstance(image, Image.Image):
        image = to_mode(image, "L" if is_grey(image) else "RGB")
    pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
    return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
