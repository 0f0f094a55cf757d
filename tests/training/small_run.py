"""A small recipe, and how runs are called and compared."""

from __future__ import annotations

import csv
from pathlib import Path

import torch
from safetensors.torch import load_file

from zoo.training import run as training

RECIPE = """
model = "ram_mnist"
epochs = 4
batch_size = 32
seed = 3
ema_decay = 0.9
validate_every = 2

[data]
name = "mnist"
holdout = 40

[optimizer]
lr = 3e-3
weight_decay = 0.01
clip_norm = 5.0

[augment]
rotate = 5.0
elastic = 0.5

[model_options]
num_glimpses = 3
hidden_size = 32

[objective]
std = [0.2, 0.1]
"""


def assert_same_result(out: Path, other: Path) -> None:
    ours, theirs = (load_file(folder / training.WEIGHTS) for folder in (out, other))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    curves = [read_curve(folder) for folder in (out, other)]
    for row in (*curves[0], *curves[1]):
        del row["seconds"]
    assert curves[0] == curves[1]


def read_curve(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / training.CURVE).read_text().splitlines()))


def command(recipe: Path, out: Path, data: Path, *more: str) -> list[str]:
    """What follows `python`."""
    base = ["-m", "zoo", "train", str(recipe), "--out", str(out)]
    return [*base, "--data", str(data), *more]
