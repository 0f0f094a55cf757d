"""What a model attends to: its masks over the image, a column for each, from coarse to fine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn

from zoo.errors import OptionError
from zoo.explain.canvas import CAPTION, GAP, SIDE, enlarged

OPACITY = 0.55  # of a mask over the image
# Blue, cyan, yellow, red: the colours of the field's figures, at equal distances.
COLOURS = np.array([(0, 0, 143), (0, 160, 255), (255, 230, 0), (160, 0, 0)], dtype=np.float64)


def can_map(model: nn.Module) -> bool:
    """Whether a model shows its masks: `attention_maps(images) -> {name: (B, C or 1, H, W)}`."""
    return callable(getattr(model, "attention_maps", None))


def draw(
    pixels: NDArray[np.uint8],
    maps: Mapping[str, Tensor],
    captions: Sequence[str] = (),
    *,
    channels: int = 3,
) -> Image.Image:
    """The picture of uint8 images (B, H, W, C) and their masks.

    Each image has a row with the means over the channels, and `channels` rows with those channels
    that vary most over the image. A colour shows where a value lies between the least and the
    largest of its mask.
    """
    wrong = [name for name, values in maps.items() if len(values) != len(pixels)]
    if wrong or not maps:
        raise OptionError(f"no masks of {len(pixels)} images" + "".join(f": {n}" for n in wrong))
    ordered = sorted(maps.items(), key=lambda item: item[1].shape[2] * item[1].shape[3])
    rows = 1 + min(channels, *(values.shape[1] - 1 for _, values in ordered))
    height = rows * (SIDE + CAPTION) + GAP
    sheet = Image.new("RGB", (GAP + (1 + len(ordered)) * (SIDE + GAP), len(pixels) * height + GAP))
    sheet.paste("white", (0, 0, *sheet.size))
    for i, image in enumerate(pixels):
        picture = enlarged(image)
        _cell(sheet, (0, GAP + i * height), picture, captions[i] if captions else "")
        for column, (name, values) in enumerate(ordered, 1):
            for row, (label, mask) in enumerate(_chosen(values[i].float().cpu(), rows)):
                size = "x".join(map(str, mask.shape))
                said = f"{name}, {size}" if not row else f"{label}"
                at = (column, GAP + i * height + row * (SIDE + CAPTION))
                _cell(sheet, at, _over(picture, mask), said)
    return sheet


def _chosen(values: Tensor, rows: int) -> list[tuple[str, Tensor]]:
    """(C, H, W): the mean, then the channels that vary most."""
    varying = values.flatten(1).std(1, unbiased=False).argsort(descending=True)[: rows - 1]
    return [("mean", values.mean(0)), *((f"channel {c}", values[c]) for c in varying.tolist())]


def _over(picture: Image.Image, mask: Tensor) -> Image.Image:
    low, high = mask.aminmax()
    share = (mask - low) / (high - low).clamp(min=torch.finfo(mask.dtype).tiny)
    grown = torch.nn.functional.interpolate(
        share[None, None], picture.size[::-1], mode="bilinear", align_corners=True
    )
    colours = Image.fromarray(_coloured(grown[0, 0].numpy()))
    return Image.blend(picture, colours, OPACITY)


def _coloured(share: NDArray[Any]) -> NDArray[np.uint8]:
    """(H, W) from 0 to 1 -> (H, W, 3)."""
    places = np.linspace(0, 1, len(COLOURS))
    channels = [np.interp(share, places, COLOURS[:, c]) for c in range(3)]
    return np.stack(channels, -1).astype(np.uint8)


def _cell(sheet: Image.Image, at: tuple[int, int], picture: Image.Image, text: str) -> None:
    """A picture with a line of text below, in a column and at a height."""
    left = GAP + at[0] * (SIDE + GAP)
    sheet.paste(picture, (left, at[1]))
    ImageDraw.Draw(sheet).text((left, at[1] + picture.size[1] + 2), text, fill="black")
