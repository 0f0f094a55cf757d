"""Small coloured images, digits of noise, and recipes that train on them in seconds."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from zoo.recipes import Augment, Data, Optimizer, Recipe

COLOURS = ("blue", "green", "red")


def write_images(folder: Path, count: int, seed: int, classes: tuple[str, ...] = COLOURS) -> None:
    """Noise in which the colour of the class is a little stronger."""
    generator = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 200, (12, 12, 3))
            pixels[..., 2 - COLOURS.index(name)] += 50
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")


def in_memory() -> Recipe:
    """A recipe for images in memory, with distortions that are drawn from the global state."""
    return Recipe(
        model="cifar_resnet", epochs=1, batch_size=6, model_options={
            "depth": 8, "widths": [8, 16, 32], "img_size": 28, "num_classes": 10, "in_chans": 1,
        },
        data=Data(name="mnist", holdout=10), optimizer=Optimizer(lr=0.01),
        augment=Augment(crop=2, flip=True),
    )  # fmt: skip


def write_digits(folder: Path, classes: int = 10) -> None:
    """46 training and 20 test images of noise, in the form of MNIST's files."""
    folder.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    for part, count in (("train", 46), ("t10k", 20)):
        images = torch.randint(0, 256, (count, 28, 28), generator=generator, dtype=torch.uint8)
        labels = torch.arange(count, dtype=torch.uint8) % classes
        pieces = {"images-idx3": (0x803, images), "labels-idx1": (0x801, labels)}
        for name, (magic, values) in pieces.items():
            header = struct.pack(f">{1 + values.ndim}I", magic, *values.shape)
            content = gzip.compress(header + values.numpy().tobytes())
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(content)
