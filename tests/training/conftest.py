"""Made-up digits, a small recipe for them, and one whole run of it."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
import torch
from small_run import RECIPE

from zoo.recipes import read_recipe
from zoo.training import run as training


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder as the official training files lie in one, with 360 made-up digits."""
    folder = tmp_path_factory.mktemp("mnist")
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (360, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 10, (360,), generator=generator, dtype=torch.uint8)
    parts = {"images-idx3": (0x803, images), "labels-idx1": (0x801, labels)}
    for name, (magic, values) in parts.items():
        header = struct.pack(f">{1 + values.ndim}I", magic, *values.shape)
        with gzip.open(folder / f"train-{name}-ubyte.gz", "wb") as file:
            file.write(header + values.numpy().tobytes())
    return folder


@pytest.fixture
def recipe(tmp_path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    path = out / "small.toml"
    path.write_text(RECIPE)
    training.train(read_recipe(path), out, data=data)
    return out
