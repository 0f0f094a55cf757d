"""Recipes: a wrong one is refused in one sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_run import RECIPE
from zoo_plugins.networks.ram.reinforce import Reinforce

import zoo
from zoo.errors import DataError, OptionError, RecipeError, UnknownNameError
from zoo.recipes import read_recipe
from zoo.training import run as training


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("epochs = 4", "epoch = 4", "unknown key epoch"),
        ("epochs = 4", "", "missing key epochs"),
        ("lr = 3e-3", "", "missing key optimizer.lr"),
        ("lr = 3e-3", "lr = 0", "optimizer.lr"),
        ("lr = 3e-3", 'lr = "fast"', "optimizer.lr"),
        ("holdout = 40", "holdouts = 40", "unknown key data.holdouts"),
        ("holdout = 40", "holdout = true", "data.holdout = True is not of type int or list of int"),
        ("holdout = 40", "holdout = -1", "data.holdout"),
        ("holdout = 40", "holdout = [20, 20]", "data.holdout .* not one number for each"),
        ("holdout = 40", "holdout = []", "data.holdout"),
        ("holdout = 40", "holdout = [2.5]", "data.holdout"),
        ("holdout = 40", "holdout_seed = -1", "data.holdout_seed"),
        ("seed = 3", f"seed = {2**64}", "seed"),
        ("holdout = 40", 'splits = "train"', "data.splits = 'train' is not of type list of str"),
        ("holdout = 40", 'splits = ["train", "test"]', "data.splits"),
        ("holdout = 40", 'splits = ["train", "train"]', "data.splits"),
        ("lr = 3e-3", "lr = 3e-3\ndrops = [0.5, 1.5]", "optimizer.drops"),
        ("std = [0.2, 0.1]", "std = [0.2, 0.1]\n[weights]\na = 1", "weights = .* not of type str"),
        ("batch_size = 32", "batch_size = 0", "batch_size"),
        ("batch_size = 32", "batch_size = true", "batch_size"),
        ("[data]", "[date]", "unknown key date"),
        ("rotate = 5.0", "rotate = -5.0", "augment.rotate"),
        ("ema_decay = 0.9", "ema_decay = 1.0", "ema_decay"),
        ("[data]", "[data", "not TOML"),
    ],
)
def test_a_wrong_recipe_is_one_clear_error(recipe, old, new, named):
    recipe.write_text(RECIPE.replace(old, new))
    with pytest.raises(RecipeError, match=named) as caught:
        read_recipe(recipe)
    assert str(recipe) in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "error", "named"),
    [
        ("std = [0.2, 0.1]", "reward = 1", RecipeError, "reward"),
        ("std = [0.2, 0.1]", "rewards = 1", RecipeError, "rewards"),
        ("std = [0.2, 0.1]", "std = [0.2]", RecipeError, "std"),
        ("holdout = 40", "holdout = 360", RecipeError, "holdout"),
        ("holdout = 40", "holdout = 350", RecipeError, "batch_size"),
        ('name = "mnist"', 'name = "mnits"', UnknownNameError, "mnits"),
        ('model = "ram_mnist"', 'model = "ram_mnits"', UnknownNameError, "ram_mnits"),
        ('lr = 3e-3', 'lr = 3e-3\nname = "adamwww"', RecipeError, "adamwww"),
        ("num_glimpses = 3", "num_classes = 5", DataError, "10 classes"),
        ("num_glimpses = 3", "in_chans = 3", DataError, "1 channels"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused_before_it_starts(
    recipe, data, tmp_path, old, new, error, named
):
    recipe.write_text(RECIPE.replace(old, new))
    with pytest.raises(error, match=named):
        training.train(read_recipe(recipe), tmp_path / "out", data=data)
    assert not (tmp_path / "out").exists()


def test_a_recipe_of_today_has_the_digest_of_its_run_of_yesterday(recipe):
    """Keys that were added since then change nothing where they are not used."""
    settings = read_recipe(recipe)
    assert settings.digest == "4438f35dad95fcae25e91c31fcd63903717cd31d75f9bb4403a42c2b6ccc70d4"
    several = replace(settings, data=replace(settings.data, splits=["train", "extra"]))
    assert several.digest != settings.digest


def test_sequences_of_labels_are_refused_by_a_classifier(recipe, data, tmp_path):
    text = RECIPE.replace('"mnist"', '"mnist_pairs"').replace(
        "num_glimpses = 3", "image_size = 100"
    )
    text = text.replace('"ram_mnist"', '"cnn2_mnist"').replace("hidden_size = 32", "")
    recipe.write_text(text.replace("std = [0.2, 0.1]", ""))
    with pytest.raises(RecipeError, match="2 labels each"):
        training.train(read_recipe(recipe), tmp_path / "out", data=data)
    assert not (tmp_path / "out").exists()


def test_reinforcement_of_one_class_refuses_sequences():
    model = zoo.create_model("ram_mnist", num_glimpses=2)
    with pytest.raises(RecipeError, match="2 labels each"):
        Reinforce(model)(torch.rand(3, 1, 28, 28), torch.zeros(3, 2, dtype=torch.int64), 0.5)


def test_a_split_that_is_not_there_is_named_as_recipes_do(recipe, data, tmp_path):
    recipe.write_text(RECIPE.replace("holdout = 40", 'splits = ["train", "extra"]'))
    with pytest.raises(DataError, match="no split 'extra'") as caught:
        training.train(read_recipe(recipe), tmp_path / "out", data=data)
    assert "data.splits" in caught.value.remedy and "--split" not in caught.value.remedy


def test_absent_files_and_devices_are_named(recipe, data, tmp_path):
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path / "absent.toml")
    with pytest.raises(DataError):
        training.train(read_recipe(recipe), tmp_path / "out", data=tmp_path / "absent")
    with pytest.raises(OptionError, match="nowhere"):
        training.train(read_recipe(recipe), tmp_path / "out", data=data, device="nowhere")
