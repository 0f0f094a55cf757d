"""What is in images: the classes that a model finds most probable, by name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from zoo.build.create import create_model
from zoo.build.remarks import refuse_reset
from zoo.data.sequences import sequence_of
from zoo.data.vocabulary import ModelClasses, imagenet, model_classes
from zoo.errors import DataError, OptionError, UsageError
from zoo.evaluation.loader import batches, share
from zoo.evaluation.predictor import Predictor

Picture = str | os.PathLike[str] | Image.Image | Any
READ_AT_ONCE = 4096  # images whose names are held at once
NOT_FINITE = "the model's scores are no finite numbers"


@dataclass(frozen=True, slots=True)
class Guess:
    """A class that a model finds in an image.

    Attributes:
        index: the number of the class.
        name: what the model calls it: the name of a folder that it was trained on, a WordNet id;
            the number, if it has no names.
        description: what a WordNet id means; else empty.
        probability: softmax over all classes, from 0 to 1.
    """

    index: int
    name: str
    description: str
    probability: float

    @property
    def text(self) -> str:
        """The name for a reader."""
        return self.description or self.name


@dataclass(frozen=True, slots=True)
class Prediction:
    """The most probable classes of an image, the first of them first.

    Attributes:
        image: its path, or what it is called.
        classes: empty if the image could not be read, or the scores are no finite numbers.
        error: why there are no classes; else empty.
    """

    image: str
    classes: tuple[Guess, ...]
    error: str = ""


def predict(
    model: nn.Module | str | os.PathLike[str],
    images: Picture | Sequence[Picture],
    top: int = 5,
    **options: Any,
) -> list[Prediction]:
    """The most probable classes of each image, with the model's own preprocessing.

    Args:
        model: a classifier, or what `zoo.create_model` takes: a name, whose default weights are
            loaded, or the folder of a run.
        images: files, PIL images or uint8 arrays (H, W, C); or a single one.
        top: how many classes of each image.
        **options: of `predictions`.

    Raises:
        DataError: an image cannot be read, or its scores are no finite numbers. UsageError: the
        model gives no classes. OptionError: `top` is less than 1.
    """
    single = isinstance(images, str | os.PathLike | Image.Image) or hasattr(images, "ndim")
    given: Any = [images] if single else images
    found: list[Prediction] = []
    for prediction in predictions(model, given, top, **options):
        if prediction.error:
            raise DataError(f"cannot classify it: {prediction.error}", where=prediction.image)
        found.append(prediction)
    return found


def predictions(
    model: nn.Module | str | os.PathLike[str],
    images: Iterable[Picture],
    top: int = 5,
    *,
    device: str | torch.device | None = None,
    amp: bool | None = None,
    batch_size: int = 64,
    workers: int = 0,
) -> Iterator[Prediction]:
    """The predictions of any number of images, one after the other, in their order.

    An image that cannot be read, or whose scores are no finite numbers, has a prediction that says
    why.

    Args:
        device, amp: as for `zoo.evaluation.evaluate`.
        batch_size: how many images are computed at once.
        workers: how many processes decode images. With 0 this process does.

    Raises:
        UsageError, OptionError: as for `predict`.
    """
    if top < 1:
        raise OptionError(f"top={top} is less than 1")
    built = model if isinstance(model, nn.Module) else _built(model)
    if sequence_of(built):
        raise UsageError(
            f"{type(built).__name__} reads sequences, which have no most probable class",
            remedy="zoo eval, or model.sequence(images)",
        )
    predictor, classes = Predictor(built, device=device, amp=amp), _classes(built)
    remaining = iter(images)
    while part := list(islice(remaining, READ_AT_ONCE)):
        yield from _of_part(part, predictor, classes, top, batch_size, workers)


def _built(name: str | os.PathLike[str]) -> nn.Module:
    model = create_model(name, pretrained=True)
    refuse_reset(model, os.fspath(name), "used")
    return model


def _classes(model: nn.Module) -> ModelClasses:
    """The model's own names of its classes, else those of the ImageNet with as many."""
    own = model_classes(model)
    return own if own.names else imagenet(own.count) or own


def _of_part(
    images: list[Picture], predictor: Predictor, classes: ModelClasses, top: int, batch_size: int,
    workers: int,
) -> Iterator[Prediction]:  # fmt: skip
    files = _Files(images)
    shares = share(len(files), batch_size)
    for places, batch in zip(
        shares, batches(files, predictor.settings, shares, workers=workers), strict=True
    ):
        found = {
            index: Prediction(name, (), reason) for index, name, reason in batch.skipped
        }  # fmt: skip
        if batch.indices:
            shown = _guesses(predictor(batch.pixels), classes, top)
            for index, guesses in zip(batch.indices, shown, strict=True):
                error = "" if guesses else NOT_FINITE
                found[index] = Prediction(files.describe(index), guesses, error)
        yield from (found[index] for index in places)


def _guesses(logits: Tensor, classes: ModelClasses, top: int) -> Iterator[tuple[Guess, ...]]:
    """The classes of each image; none where a score is no finite number."""
    values, indices = logits.softmax(-1).topk(min(top, logits.shape[-1]))
    known = logits.isfinite().all(-1).tolist()
    for row, chosen, finite in zip(values.tolist(), indices.tolist(), known, strict=True):
        yield tuple(
            Guess(i, classes.names.get(i, str(i)), classes.descriptions.get(i, ""), p)
            for i, p in zip(chosen, row, strict=True)
            if finite
        )


class _Files:
    """Images as items of a data set, whose labels mean nothing."""

    def __init__(self, images: Sequence[Picture]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        given = self.images[index]
        if not isinstance(given, str | os.PathLike):
            return given, 0
        if os.path.exists(given) and not os.path.isfile(given):
            raise DataError("not a regular file")  # reading a pipe or a device may never end
        with Image.open(given) as image:
            image.load()
        return image, 0

    def describe(self, index: int) -> str:
        given = self.images[index]
        return os.fspath(given) if isinstance(given, str | os.PathLike) else f"image {index}"
