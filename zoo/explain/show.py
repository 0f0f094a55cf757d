"""Pictures of what a model attends to in given images. The model decides what there is to draw."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor, nn

from zoo.data.preprocessing import Preprocessing, ToPixels
from zoo.data.sequences import seen, sequence_of
from zoo.errors import DataError, UsageError
from zoo.explain import glimpses, maps, outlines, sites


def show(
    model: nn.Module,
    files: Sequence[str | os.PathLike[str]],
    *,
    size: int | None = None,
    channels: int = 3,
) -> list[Image.Image]:
    """Draw what a model attends to, over images. The result is the frames of a film; the last has
    it all.

    What is drawn are its glimpses (`model.glimpses`), what it samples (`model.outlines`), its masks
    (`model.attention_maps`), or what the attention that the zoo put into it did
    (`zoo.explain.sites`).

    Args:
        files: images of any format that PIL reads.
        size: the side to which they are brought; by default that of the model.
        channels: how many channels of each mask are drawn beside the mean of all.

    Raises:
        UsageError: the model shows none of these.
        DataError: an image cannot be read.
    """
    if not can_be_shown(model):
        raise UsageError(
            f"{type(model).__name__} shows nothing: it has no attention of the zoo's, and none of "
            "glimpses(images), outlines(images), attention_maps(images)",
            remedy="a model with attention, e.g. cbam_resnet50",
        )
    settings = Preprocessing.of(model)
    if size is not None:
        settings = replace(settings, input_size=(settings.input_size[0], size, size))
    pixels = np.stack([_read(file, ToPixels(settings)) for file in files])
    training = model.training
    try:
        with torch.inference_mode():
            return _drawn(model.eval(), pixels, settings, channels)
    finally:
        model.train(training)


def can_be_shown(model: nn.Module) -> bool:
    """Whether there is anything to draw."""
    checks = glimpses.can_show, outlines.can_outline, maps.can_map, sites.has_sites
    return any(check(model) for check in checks)


def _drawn(model: Any, pixels: Any, settings: Preprocessing, channels: int) -> list[Image.Image]:
    x = settings.normalise(torch.from_numpy(pixels), next(model.parameters()).device)
    captions = _captions(model, x)
    if glimpses.can_show(model):
        return glimpses.frames(pixels, model.glimpses(x), captions)
    if outlines.can_outline(model):
        return [outlines.draw(pixels, model.outlines(x), captions)]
    found = model.attention_maps(x) if maps.can_map(model) else sites.gains(model, x)
    if not found:
        raise UsageError(f"no attention of {type(model).__name__} keeps the shape of its map")
    return [maps.draw(pixels, found, captions, channels=channels)]


def _captions(model: nn.Module, x: Tensor) -> list[str]:
    """The class that is seen, of a classifier; of a model that reads sequences, the sequence."""
    if sequence_of(model):
        return [f"reads {text}" for text in seen(model, x)]
    logits = model(x)
    is_classifier = isinstance(logits, Tensor) and logits.ndim == 2
    return [f"class {index}" for index in logits.argmax(1).tolist()] if is_classifier else []


def _read(file: str | os.PathLike[str], to_pixels: ToPixels) -> NDArray[np.uint8]:
    if Path(file).exists() and not Path(file).is_file():  # a pipe may never end
        raise DataError("this is not a regular file", where=os.fspath(file))
    try:
        with Image.open(file) as image:
            return to_pixels(image)
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"no image can be read: {error}", where=os.fspath(file)) from error
