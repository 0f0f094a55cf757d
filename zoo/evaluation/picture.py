"""The picture that `zoo eval --picture` draws: the first images, and where the model looked."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from zoo.data.base import Items
from zoo.data.preprocessing import Preprocessing, ToPixels
from zoo.data.sequences import label_text, seen
from zoo.errors import DataError, UsageError
from zoo.explain.glimpses import GlimpsePath, can_show, draw
from zoo.explain.picture.canvas import save


def save_glimpses(
    file: str | os.PathLike[str],
    model: nn.Module,
    data: Items,
    settings: Preprocessing | None = None,
    *,
    count: int = 8,
) -> None:
    """Draw the first `count` readable images with the glimpses that `model` takes of them.

    Raises:
        UsageError: the model takes no glimpses, or the file's ending names no picture format.
        DataError: no image can be read.
    """
    if not can_show(model):
        raise UsageError("the model has no method glimpses(images) -> GlimpsePath")
    settings = settings or Preprocessing.of(model)
    pixels, labels = _first(data, settings, count)
    device = next(model.parameters()).device
    training = model.training
    try:
        x = settings.normalise(torch.from_numpy(pixels), device)
        with torch.inference_mode():
            path: GlimpsePath = model.eval().glimpses(x)  # pyright: ignore[reportCallIssue]
            predicted = seen(model, x)
    finally:
        model.train(training)
    pairs = zip(labels, predicted, strict=True)
    captions = [f"{label_text(model, label)}, read as {found}" for label, found in pairs]
    save(draw(pixels, path, captions), file)


def _first(data: Items, settings: Preprocessing, count: int) -> tuple[NDArray[np.uint8], list[Any]]:
    to_pixels, images, labels = ToPixels(settings), [], []
    for index in range(len(data)):
        if len(images) == count:
            break
        try:
            image, label = data[index]
            images.append(to_pixels(image))
        except Exception:  # counted and named by the evaluation already
            continue
        labels.append(np.asarray(label).tolist())
    if not images:
        raise DataError("no image can be read")
    return np.stack(images), labels
