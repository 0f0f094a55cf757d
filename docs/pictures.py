"""Draw the pictures of the documents: `python docs/pictures.py`.

Weights and test digits come with the zoo, so that no network is needed. The images are the first
of each test split, whatever the model makes of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import zoo
from zoo.data.preprocessing import Preprocessing, ToPixels
from zoo.data.resolve import open_data
from zoo.data.sequences import label_text, seen
from zoo.explain import glimpses, outlines
from zoo.explain.picture.canvas import save

FOLDER = Path(__file__).parent / "pictures"


def dram() -> None:
    """Where the deep recurrent attention model looks on canvases with two digits."""
    model, pixels, x, captions = _first("dram_mnist_pairs", "mnist_pairs", range(4))
    path = model.glimpses(x)
    halves = [
        glimpses.draw(
            pixels[i : i + 2],
            glimpses.GlimpsePath(locations=path.locations[:, i : i + 2], sides=path.sides),
            captions[i : i + 2],
        )
        for i in (0, 2)
    ]
    save(_beside(halves), FOLDER / "dram_mnist_pairs.png")


def ram() -> None:
    """Where the recurrent attention model looks on a cluttered canvas."""
    model, pixels, x, captions = _first("ram_mnist_cluttered100", "mnist_cluttered100", range(4))
    save(glimpses.draw(pixels, model.glimpses(x), captions), FOLDER / "ram_mnist_cluttered100.png")


def stn() -> None:
    """What a spatial transformer samples of turned digits, and what that becomes."""
    model, pixels, x, captions = _first("stn_mnist.zoo_mnist_r", "mnist_distorted_r", range(6))
    made = outlines.resampled(model, x, Preprocessing.of(model))
    picture = outlines.draw(pixels, model.outlines(x), captions, resampled=made)
    save(picture, FOLDER / "stn_mnist_r.png")


def _first(name: str, data: str, indices: Sequence[int]) -> tuple[Any, Any, Any, list[str]]:
    """A bundled model, the images as bytes and as its input, and what it reads in them."""
    model: Any = zoo.create_model(name, pretrained=True).eval()
    settings, items = Preprocessing.of(model), open_data(data, "test")
    pixels = np.stack([ToPixels(settings)(items[i][0]) for i in indices])
    x = settings.normalise(torch.from_numpy(pixels))
    labels = [np.asarray(items[i][1]).tolist() for i in indices]
    pairs = zip(labels, seen(model, x), strict=True)
    return model, pixels, x, [f"{label_text(model, each)}, read as {text}" for each, text in pairs]


def _beside(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures of one height in a row."""
    sheet = Image.new("RGB", (sum(p.width for p in pictures), pictures[0].height), "white")
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width
    return sheet


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with torch.inference_mode():
        dram()
        ram()
        stn()
