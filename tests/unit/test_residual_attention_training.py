"""The recipes of the residual attention networks run; crops, flips, rates and wrong labels."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import zoo_weights
from PIL import Image

from zoo.errors import RecipeError
from zoo.feeding.augment import augment
from zoo.feeding.noise import mislabel
from zoo.recipes import Augment, Recipe, load_recipe, read_recipe
from zoo.training.loop import Trainer
from zoo.training.run import train

pytestmark = pytest.mark.long

RECIPES = sorted((Path(zoo_weights.__file__).parent / "recipes").glob("residual_attention*.toml"))
SMALL = "residual_attention_56_cifar_small"


def png(seed: int) -> bytes:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8, generator=generator)
    file = io.BytesIO()
    Image.fromarray(pixels.numpy()).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 made-up images of ten classes, as CIFAR-10 lies on the Hub."""
    folder = tmp_path_factory.mktemp("data") / "cifar10"
    folder.mkdir()
    rows = [{"bytes": png(i), "path": f"{i}.png"} for i in range(40)]
    table = pa.table({"img": rows, "label": [i % 10 for i in range(40)]})
    pq.write_table(table, folder / "train-00000-of-00001.parquet")
    return folder


def short(path: Path, **changes: Any) -> Recipe:
    recipe = read_recipe(path)
    data = replace(recipe.data, holdout=8)
    return replace(recipe, **{"epochs": 1, "batch_size": 16, "data": data, **changes})


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=() if path.stem == SMALL else pytest.mark.slow, id=path.stem)
        for path in RECIPES
    ],
)
def test_a_recipe_runs(path: Path, data: Path, tmp_path: Path) -> None:
    deep = "452" in path.stem or "236" in path.stem
    recipe = short(path, batch_size=4 if deep else 16)
    trainer = train(recipe, tmp_path, data=data, limit_steps=1 if deep else None)
    assert trainer.step == (1 if deep else 2)
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())
    assert (tmp_path / "model.safetensors").stat().st_size > 1e6


@pytest.mark.slow
def test_a_run_in_bfloat16_resumes_to_the_same_weights(data: Path, tmp_path: Path) -> None:
    recipe = replace(short(RECIPES[[p.stem for p in RECIPES].index(SMALL)]), epochs=2)
    whole = train(recipe, tmp_path / "whole", data=data)
    train(recipe, tmp_path / "parts", data=data, limit_steps=3)
    parts = train(recipe, tmp_path / "parts", data=data)
    assert parts.step == whole.step == 4
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_crops_and_flips_move_whole_pixels() -> None:
    torch.manual_seed(0)
    images = torch.arange(1.0, 65).reshape(1, 1, 8, 8).repeat(200, 2, 1, 1)
    out = augment(images, Augment(crop=2, flip=True))
    assert torch.equal(out[:, 0], out[:, 1])
    padded = torch.nn.functional.pad(images[0, 0], [2] * 4)
    windows = padded.unfold(0, 8, 1).unfold(1, 8, 1).reshape(25, 8, 8)
    possible = torch.cat([windows, windows.flip(2)])
    found = (out[:, 0, None] == possible).all(-1).all(-1)
    assert (found.sum(1) == 1).all() and found.any(0).sum() > 40
    mirrored = found[:, 25:].any(1).float().mean()
    assert 0.35 < mirrored < 0.65


def test_nothing_to_do_changes_nothing() -> None:
    images = torch.rand(2, 3, 8, 8)
    before = torch.get_rng_state()
    assert torch.equal(augment(images, Augment()), images)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_rate_falls_in_steps(data: Path, tmp_path: Path) -> None:
    path = next(p for p in RECIPES if p.stem.endswith("_paper"))
    recipe = short(path)
    recipe = replace(recipe, epochs=5, model_options={"widths": [8, 8, 8, 8], "modules": [0, 0, 0]})
    rates: list[float] = []

    def note(trainer: Trainer, row: dict[str, float]) -> None:
        rates.append(trainer.optimizer.param_groups[0]["lr"])

    train(recipe, tmp_path, data=data, report=note)
    assert rates == pytest.approx([0.1] * 3 + [0.01] * 2 + [0.001] * 5)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("drops = [0.5, 1.5]", "optimizer.drops"),
        ("drops = 0.5", "optimizer.drops"),
        ("fused = 1", "optimizer.fused"),
    ],
)
def test_a_wrong_key_is_refused(line: str, word: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPES[0].read_text().replace("[augment]", f"{line}\n[augment]", 1)
                    .replace("fused = true\n", "", 1))  # fmt: skip
    with pytest.raises(RecipeError, match=word):
        read_recipe(path)


def test_older_recipes_keep_their_digest() -> None:
    first = load_recipe("ram_mnist_near_centre").stages[0]
    recipe = replace(first, model_options={})  # as it was then
    assert recipe.digest == "d9d406ab03e27d78da786987e518fef9300b2269b09c2edecd049b729e7c6965"
    assert replace(recipe, amp=True).digest != recipe.digest


def test_wrong_labels_are_as_many_as_asked_for_and_all_wrong() -> None:
    labels = torch.arange(20_000) % 10
    noisy = mislabel(labels, 0.3, 10, 1)
    wrong = noisy != labels
    assert abs(wrong.float().mean() - 0.3) < 0.01
    counts = torch.bincount((noisy - labels)[wrong] % 10, minlength=10)
    assert counts[0] == 0 and (counts[1:] > 550).all()
    assert torch.equal(mislabel(labels, 0.3, 10, 1), noisy)
    assert not torch.equal(mislabel(labels, 0.3, 10, 2), noisy)
