"""Pictures of what a model attends to in given images: the model decides what there is to draw."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import nn

from zoo.errors import DataError, UsageError
from zoo.evaluation.preprocessing import Preprocessing, ToPixels
from zoo.viz import glimpses, maps


def show(
    model: nn.Module,
    files: Sequence[str | os.PathLike[str]],
    *,
    size: int | None = None,
    channels: int = 3,
) -> Image.Image:
    """Draw glimpses (`model.glimpses`) or masks (`model.attention_maps`) over images.

    Args:
        files: images, of any format that PIL reads.
        size: side to bring them to; by default the model's own.
        channels: channels of each mask to draw beside the mean of all.

    Raises:
        UsageError: the model shows neither. DataError: an image cannot be read.
    """
    if not can_be_shown(model):
        raise UsageError(
            f"{type(model).__name__} shows nothing: it has neither glimpses(images) nor "
            "attention_maps(images)"
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
    """Whether a model says where it looks, or has masks."""
    return glimpses.can_show(model) or maps.can_map(model)


def _drawn(model: Any, pixels: Any, settings: Preprocessing, channels: int) -> Image.Image:
    x = settings.normalise(torch.from_numpy(pixels), next(model.parameters()).device)
    captions = [f"class {seen}" for seen in model(x).argmax(1).tolist()]
    if glimpses.can_show(model):
        return glimpses.draw(pixels, model.glimpses(x), captions)
    return maps.draw(pixels, model.attention_maps(x), captions, channels=channels)


def _read(file: str | os.PathLike[str], to_pixels: ToPixels) -> NDArray[np.uint8]:
    try:
        with Image.open(file) as image:
            return to_pixels(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"no image can be read: {error}", where=os.fspath(file)) from error
