"""What a run trains on: drawn on the fly, distorted, the held-out part apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_run import RECIPE, assert_same_result
from zoo_plugins.datasets.canvases import sets

from zoo.errors import DataError, RecipeError
from zoo.feeding import data as feeding
from zoo.feeding.augment import augment
from zoo.feeding.data import Drawn, Images, training_data
from zoo.feeding.feed import InMemory
from zoo.feeding.order import Order
from zoo.recipes import Augment, Data, Optimizer, Recipe, read_recipe
from zoo.runtime.processes import Processes
from zoo.training import run as training
from zoo.training.loop import Trainer

MADE = Recipe(
    model="m", epochs=1, batch_size=1, data=Data(name="made"), optimizer=Optimizer(lr=1.0)
)


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


class TestImagesInMemory:
    def test_each_image_is_either_held_out_or_trained_on(self, data, recipe):
        """Of images that all differ, so that an image in both parts would be seen."""
        found = training_data(read_recipe(recipe), data)
        assert isinstance(found.train, Images)
        parts = [p.images.flatten(1).tolist() for p in (found.train, found.held_out)]
        train, held_out = ({tuple(image) for image in part} for part in parts)
        assert (len(train), len(held_out)) == (320, 40)
        assert not train & held_out
        assert len(found.train) + len(found.held_out) == len(train | held_out) == 360

    @pytest.mark.parametrize(
        ("shape", "read"),
        [
            ((5, 7, 3), Image.fromarray),
            ((5, 7, 3), np.asarray),
            ((5, 7), Image.fromarray),
            ((5, 7), np.asarray),
        ],
    )
    def test_an_image_keeps_its_pixels_its_channels_and_its_label(self, monkeypatch, shape, read):
        pixels = np.random.default_rng(0).integers(0, 256, (2, 9, *shape), dtype=np.uint8)
        parts = [
            [(read(one), 9 * n + i) for i, one in enumerate(part)] for n, part in enumerate(pixels)
        ]
        monkeypatch.setattr(feeding, "_open", lambda name, root, split: parts[split == "second"])
        data = Data(name="made", splits=("first", "second"), holdout=(4, 1))
        found = training_data(replace(MADE, data=data), None)
        assert isinstance(found.train, Images)
        assert found.channels == (3 if len(shape) == 3 else 1)
        held_out = found.held_out.labels
        assert ((held_out < 9).sum(), (held_out >= 9).sum()) == (4, 1)
        labels = torch.cat((found.train.labels, held_out))
        assert labels.sort().values.tolist() == list(range(18)) and found.num_classes == 18
        images = torch.cat((found.train.images, found.held_out.images)).permute(0, 2, 3, 1)
        wanted = pixels.reshape(18, 5, 7, -1)[labels]
        assert np.array_equal(images.numpy(), wanted)

    def test_the_seed_of_the_data_alone_decides_what_is_held_out(self, data, recipe):
        def held_out(seed, holdout_seed):
            torch.manual_seed(seed)
            settings = read_recipe(recipe)
            settings = replace(
                settings, seed=seed, data=replace(settings.data, holdout_seed=holdout_seed)
            )
            return training_data(settings, data).held_out.images

        assert torch.equal(held_out(1, 0), held_out(2, 0))
        assert not torch.equal(held_out(1, 0), held_out(1, 1))

    def test_images_of_two_sizes_are_refused(self, monkeypatch):
        parts = [(np.zeros((side, side), np.uint8), 0) for side in (4, 4, 5)]
        monkeypatch.setattr(feeding, "_open", lambda *_: parts)
        with pytest.raises(DataError, match="not all of one size"):
            training_data(replace(MADE, data=Data(name="made", holdout=1)), None)

    def test_more_held_out_than_there_are_is_refused(self, monkeypatch):
        monkeypatch.setattr(feeding, "_open", lambda *_: [(np.zeros((4, 4), np.uint8), 0)] * 3)
        with pytest.raises(RecipeError, match="leaves none of 3 images"):
            training_data(replace(MADE, data=Data(name="made", holdout=3)), None)


class Recorder:
    """An objective that keeps what it is given."""

    def __init__(self) -> None:
        self.trained: list[torch.Tensor] = []
        self.measured: list[tuple[torch.nn.Module, torch.Tensor]] = []

    def __call__(self, images, targets, progress):
        self.trained.append(images)
        return self.model(images).square().mean(), {}

    def wrong(self, model, images, targets):
        self.measured.append((model, images))
        return {"val_error": torch.zeros(())}


def recorded(ema_decay: float = 0.5) -> tuple[Trainer, Recorder]:
    """A run of two steps on images whose bytes are all 51, that is 0.2."""
    settings = Recipe(
        model="m", epochs=1, batch_size=2, ema_decay=ema_decay, data=Data(name="d"),
        optimizer=Optimizer(lr=1.0),
    )  # fmt: skip
    model, objective = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 1)), Recorder()
    objective.model = model
    images = Images(torch.full((4, 3, 2, 2), 51, dtype=torch.uint8), torch.zeros(4).long())
    normalise = ((0.1, 0.2, 0.4), (0.5, 0.25, 2.0))
    feed = InMemory(images, Order(4, 2, 0), Processes(0, 1, torch.device("cpu")))
    trainer = Trainer(settings, model, objective, feed, images, normalise=normalise)
    list(trainer.run())
    return trainer, objective


def test_the_mean_is_subtracted_and_the_deviation_divides_in_training_and_measuring():
    _, seen = recorded()
    wanted = torch.tensor([(0.2 - 0.1) / 0.5, 0.0, (0.2 - 0.4) / 2.0]).view(1, 3, 1, 1)
    for images in (*seen.trained, *(images for _, images in seen.measured)):
        torch.testing.assert_close(images, wanted.expand_as(images))


def test_the_averaged_weights_are_measured_not_the_live_ones():
    trainer, seen = recorded()
    assert trainer.ema is not None
    assert [model for model, _ in seen.measured] == [trainer.ema.module]
    live, averaged = (m.state_dict()["1.weight"] for m in (trainer.model, trainer.averaged))
    assert not torch.equal(live, averaged)


def test_without_an_average_the_model_itself_is_measured():
    trainer, seen = recorded(ema_decay=0.0)
    assert [model for model, _ in seen.measured] == [trainer.model]


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
