"""Several splits of SVHN trained on together, each with its own held-out share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat
from svhn_files import SPLITS, make_images, write_mat
from zoo_plugins.datasets.house_numbers import sets

from zoo.errors import RecipeError, ZooWarning
from zoo.feeding.data import training_data
from zoo.recipes import Data, Optimizer, Recipe


class TestSeveralSplits:
    """Training on `train` and `extra` together, each with images held out."""

    @pytest.fixture
    def both(self, tmp_path) -> Path:
        for split, first in (("train", 1), ("extra", 6)):
            (tmp_path / split).mkdir()
            names = [f"{i}.png" for i in range(1, 9)]
            # The label tells which image it is: train has 11 to 18, extra 61 to 68.
            entries = [(name, [(first, 1, 2, 9, 9), (i + 1, 12, 2, 9, 9)])
                       for i, name in enumerate(names)]  # fmt: skip
            write_mat(tmp_path / split / "digitStruct.mat", entries)
            make_images(tmp_path / split, names, seed=first)
        return tmp_path

    def recipe(self, **data) -> Recipe:
        data = {"name": "svhn_numbers54", "splits": ["train", "extra"], **data}
        return Recipe(
            model="dram_svhn", epochs=1, batch_size=2, data=Data(**data), optimizer=Optimizer(lr=1)
        )

    @staticmethod
    def numbers(labels) -> list[int]:
        return [10 * first + second for first, second, *_ in labels.tolist()]

    def test_each_split_gives_its_own_share_and_none_twice(self, both):
        found = training_data(self.recipe(holdout=[3, 1]), both)
        held = self.numbers(found.held_out.labels)
        assert [n // 10 for n in held] == [1, 1, 1, 6]
        trained = self.numbers(found.train.batch(torch.arange(12), 0).labels)
        assert sorted(held + trained) == [*range(11, 19), *range(61, 69)]
        again = training_data(self.recipe(holdout=[3, 1]), both)
        assert torch.equal(again.held_out.images, found.held_out.images)

    def test_one_number_is_drawn_from_all_together(self, both):
        found = training_data(self.recipe(holdout=8), both)
        held = {n // 10 for n in self.numbers(found.held_out.labels)}
        assert held == {1, 6} and (len(found.train), len(found.held_out)) == (8, 8)

    def test_images_stay_with_their_labels_in_any_order(self, both):
        train = training_data(self.recipe(), both).train
        parts = {1: sets.svhn_numbers54(both, "train"), 6: sets.svhn_numbers54(both, "extra")}
        index = torch.tensor([9, 2, 15, 2, 0, 7])
        drawn = train.data.draw(index)  # epoch 0: the middle of each crop, as items are
        for image, number in zip(drawn[0], self.numbers(drawn[1]), strict=True):
            wanted = parts[number // 10][number % 10 - 1][0]
            assert np.array_equal(image[0].numpy(), wanted)
        assert torch.equal(drawn[1], train.batch(index, 3).labels)

    def test_one_split_is_as_it_always_was(self, both):
        found = training_data(self.recipe(splits=[], holdout=3), both)
        other = training_data(self.recipe(splits=["train"], holdout=[3]), both)
        order = torch.randperm(8, generator=torch.Generator().manual_seed(0))[:3]
        assert self.numbers(found.held_out.labels) == (11 + order).tolist()
        assert torch.equal(other.held_out.images, found.held_out.images)

    def test_each_split_reports_what_it_lacks(self, both):
        (both / "train" / "3.png").unlink()
        (both / "extra" / "5.png").unlink()
        with pytest.warns(ZooWarning) as caught:
            found = training_data(self.recipe(), both)
        said = [str(warning.message) for warning in caught]
        assert len(said) == 2 and len(found.train) == 14
        assert "train are absent: 3.png" in said[0] and "extra are absent: 5.png" in said[1]

    def test_a_split_of_too_few_is_one_error(self, both):
        with pytest.raises(RecipeError, match="holdout = 8 leaves none of 8 images"):
            training_data(self.recipe(holdout=[1, 8]), both)

    def test_single_digits_of_both_are_in_memory_once(self, tmp_path):
        generator = np.random.default_rng(0)
        images = {s: generator.integers(0, 256, (32, 32, 3, 4), np.uint8) for s in SPLITS}
        for number, split in enumerate(SPLITS):
            labels = np.array([[4 * number + i + 1] for i in range(4)], np.uint8)
            savemat(tmp_path / f"{split}_32x32.mat", {"X": images[split], "y": labels})
        found = training_data(self.recipe(name="svhn_cropped", holdout=[1, 2]), tmp_path)
        assert sorted([*found.held_out.labels, *found.train.labels]) == list(range(1, 9))
        for part in (found.held_out, found.train):
            for image, label in zip(part.images, part.labels.tolist(), strict=True):
                wanted = images[SPLITS[(label - 1) // 4]][..., (label - 1) % 4]
                assert np.array_equal(image.permute(1, 2, 0).numpy(), wanted)
