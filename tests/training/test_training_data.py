"""What a run trains on: drawn on the fly, distorted, the held-out part apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_run import RECIPE, assert_same_result
from zoo_plugins.datasets.canvases import sets

from zoo.training import run as training
from zoo.training.augment import augment
from zoo.training.data import Drawn, training_data
from zoo.training.recipe import Augment, Data, read_recipe


class TestDrawnData:
    """Images that are made on the fly, anew in each epoch."""

    @pytest.fixture
    def cluttered(self, tmp_path) -> Path:
        path = tmp_path / "drawn.toml"
        text = RECIPE.replace('name = "mnist"', 'name = "mnist_cluttered60"')
        path.write_text(text.replace('"ram_mnist"', '"ram_mnist_cluttered60"'))
        return path

    def test_a_stopped_run_resumes_to_the_same_result(self, cluttered, data, tmp_path):
        settings = read_recipe(cluttered)
        whole, parts = tmp_path / "whole", tmp_path / "parts"
        training.train(settings, whole, data=data, limit_steps=25)
        for limit in (9, 4, 12):
            torch.manual_seed(limit)
            training.train(settings, parts, data=data, limit_steps=limit)
        assert_same_result(whole, parts)

    def test_held_out_digits_are_never_trained_on_and_always_look_the_same(self, cluttered, data):
        settings = read_recipe(cluttered)
        found, again = (training_data(settings, data) for _ in range(2))
        assert torch.equal(found.held_out.images, again.held_out.images)
        assert (len(found.held_out), len(found.train), found.channels) == (40, 320, 1)
        assert isinstance(found.train, Drawn)
        held_out = sets.mnist_translated60(data, "train").digits.images[
            torch.randperm(360, generator=torch.Generator().manual_seed(0))[:40]
        ]
        trained = found.train.data.digits.images.flatten(1)
        assert not (trained[:, None] == held_out.flatten(1)).all(-1).any()

    def test_each_epoch_shows_other_images_and_the_seed_decides_which(self, cluttered, data):
        settings, index = read_recipe(cluttered), torch.arange(5)
        train = training_data(settings, data).train
        first = train.batch(index, 0)
        assert torch.equal(first.images, train.batch(index, 0).images)
        assert (first.images != train.batch(index, 1).images).flatten(1).any(1).all()
        other = training_data(replace(settings, seed=4), data).train.batch(index, 0)
        assert (first.images != other.images).flatten(1).any(1).all()
        assert torch.equal(first.labels, other.labels)

    def test_images_with_several_labels(self, cluttered, data):
        settings = read_recipe(cluttered)
        found = training_data(replace(settings, data=Data(name="mnist_pairs", holdout=7)), data)
        assert found.held_out.labels.shape == (7, 2) and found.num_classes == 10
        batch = found.train.batch(torch.tensor([1, 5]), 3)
        assert batch.images.shape == (2, 1, 100, 100) and batch.labels.shape == (2, 2)


def test_no_augmentation_is_the_identity_and_any_moves_pixels_a_little():
    images = torch.rand(4, 3, 20, 28)
    assert torch.equal(augment(images, Augment()), images)
    torch.manual_seed(0)
    spot = torch.zeros(64, 1, 28, 28)
    spot[:, :, 14, 14] = 1
    moved = augment(spot, Augment(translate=2.0, elastic=0.5)).flatten(1).argmax(1)
    rows, columns = moved // 28 - 14, moved % 28 - 14
    assert rows.abs().max() <= 5 and columns.abs().max() <= 5
    assert rows.unique().numel() > 2 and columns.unique().numel() > 2
