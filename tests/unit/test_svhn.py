"""House numbers: files in their published form, real or not, and the synthetic ones."""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from zoo_plugins.digits import digit_struct, sets
from zoo_plugins.digits.digit_struct import read_digit_struct
from zoo_plugins.digits.numbers import BLANK, PAPER, Form, grown, union

from zoo.errors import DataError, RecipeError, ZooWarning
from zoo.training.data import training_data
from zoo.training.recipe import Data, Optimizer, Recipe

SPLITS = ("train", "extra")
FIELDS = ("height", "label", "left", "top", "width")
# name, then (label, left, top, width, height) of each digit, as an annotator would see them.
ENTRIES = (
    ("1.png", [(1, 10, 4, 8, 20), (9, 19, 5, 9, 20)]),
    ("2.png", [(5, 3, 2, 10, 16)]),
    ("3.png", [(2, 4, 5, 6, 14), (1, 12, 6, 5, 14), (10, 18, 7, 7, 14)]),
    ("4.png", [(d, 5 * d, 3, 5, 12) for d in (1, 2, 3, 4, 5, 6)]),
    ("5.png", [(d, 5 * d, 3, 5, 12) for d in (9, 8, 7, 6, 5)]),
)


def write_mat(path: Path, entries, *, compact: bool = True, libver: str = "earliest") -> None:
    """A struct array as MATLAB 7.3 saves it: a number or a name to a data set, and references.

    One digit: its fields are values; several: lists of references to values.
    """
    plain = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if compact:
        plain.set_layout(h5py.h5d.COMPACT)
    with h5py.File(path, "w", userblock_size=512, libver=libver) as file:
        refs, top = file.create_group("#refs#"), file.create_group("digitStruct")

        def store(group, name: str, value: np.ndarray) -> h5py.Reference:
            space = h5py.h5s.create_simple(value.shape)
            kind = h5py.h5t.py_create(value.dtype, logical=True)
            created = h5py.h5d.create(group.id, name.encode(), kind, space, dcpl=plain)
            data = h5py.Dataset(created)
            data[...] = value
            data.attrs["MATLAB_class"] = np.bytes_("double")
            return data.ref

        columns: dict[str, list] = {"name": [], "bbox": []}
        for i, (name, digits) in enumerate(entries):
            letters = np.array([[ord(c)] for c in name], np.uint16)
            columns["name"].append(store(refs, f"n{i}", letters))
            box = refs.create_group(f"b{i}")
            box.attrs["MATLAB_class"] = np.bytes_("struct")  # its header now has two parts
            columns["bbox"].append(box.ref)
            for field in FIELDS:
                place = ("label", "left", "top", "width", "height").index(field)
                values = np.array([[float(d[place])] for d in digits])
                if len(digits) > 1:
                    values = np.array(
                        [[store(refs, f"v{i}{field}{k}", v[None])] for k, v in enumerate(values)],
                        h5py.ref_dtype,
                    )
                store(box, field, values)
        for key, column in columns.items():
            top.create_dataset(key, data=np.array(column, h5py.ref_dtype)[:, None])
    content = bytearray(path.read_bytes())
    content[:19] = b"MATLAB 7.3 MAT-file"
    path.write_bytes(content)


def make_images(folder: Path, names=("1.png", "2.png", "3.png", "4.png", "5.png"), seed=0) -> None:
    generator = np.random.default_rng(seed)
    for name in names:
        pixels = generator.integers(0, 256, (30, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)


@pytest.fixture
def svhn(tmp_path) -> Path:
    (tmp_path / "test").mkdir()
    write_mat(tmp_path / "test" / "digitStruct.mat", ENTRIES)
    make_images(tmp_path / "test")
    return tmp_path


class TestDigitStruct:
    @pytest.mark.parametrize(
        ("options", "quick"),
        [({}, True), ({"compact": False}, True), ({"libver": "latest"}, False)],
    )
    def test_it_is_read_whatever_the_layout(self, tmp_path, options, quick, monkeypatch):
        path = tmp_path / "digitStruct.mat"
        write_mat(path, ENTRIES, **options)
        slow = []
        real = digit_struct._slowly
        monkeypatch.setattr(digit_struct, "_slowly", lambda *a: slow.append(1) or real(*a))
        content = read_digit_struct(path)
        assert content.names == tuple(name for name, _ in ENTRIES)
        assert content.counts.tolist() == [2, 1, 3, 6, 5]
        assert content.values.tolist() == [list(d) for _, digits in ENTRIES for d in digits]
        assert content.starts.tolist() == [0, 2, 3, 6, 12]
        assert bool(slow) != quick

    def test_both_ways_of_reading_agree(self, tmp_path):
        generator = np.random.default_rng(1)
        entries = [
            (f"{i}.png", generator.integers(1, 11, (generator.integers(1, 7), 5)).tolist())
            for i in range(300)
        ]
        path = tmp_path / "digitStruct.mat"
        write_mat(path, entries)
        content = read_digit_struct(path)
        with h5py.File(path) as file:
            columns = (file[f"digitStruct/{key}"][:, 0] for key in ("name", "bbox"))
            other = digit_struct._slowly(file, *columns)
        assert other.names == content.names and np.array_equal(other.counts, content.counts)
        assert np.array_equal(other.values, content.values)

    def test_changed_bytes_are_an_error_of_the_project_or_harmless(self, tmp_path):
        path = tmp_path / "digitStruct.mat"
        write_mat(path, ENTRIES)
        whole = path.read_bytes()
        generator = np.random.default_rng(0)
        refused = 0
        for place in generator.choice(len(whole), 150, replace=False):
            changed = bytearray(whole)
            changed[place] ^= int(generator.integers(1, 256))
            path.write_bytes(changed)
            try:
                content = read_digit_struct(path)
            except DataError:
                refused += 1
            else:
                assert len(content.counts) == len(content) and content.values.shape[1] == 5
        assert refused

    @pytest.mark.parametrize("damage", ["absent", "text", "half", "empty", "other", "no field"])
    def test_what_is_no_digit_struct_is_one_error(self, tmp_path, damage):
        path = tmp_path / "digitStruct.mat"
        write_mat(path, ENTRIES)
        content = path.read_bytes()
        if damage == "other":
            with h5py.File(path, "w") as file:
                file["digits"] = 1
        elif damage == "no field":
            with h5py.File(path, "a") as file:
                del file["#refs#/b3/top"]
        elif damage == "absent":
            path.unlink()
        else:
            damaged = {"text": b"not a file of MATLAB", "half": content[:3000], "empty": b""}
            path.write_bytes(damaged[damage])
        with pytest.raises(DataError, match="digitStruct") as caught:
            read_digit_struct(path)
        assert str(path) in str(caught.value)

    def test_without_h5py_the_error_says_what_to_install(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "h5py", None)
        with pytest.raises(DataError, match=r"attention-zoo\[svhn\]"):
            read_digit_struct(tmp_path / "digitStruct.mat")

    @pytest.mark.slow
    def test_thousands_of_entries_take_seconds(self, tmp_path):
        """A tenth of the training set, in a tenth of ten seconds."""
        entries = [(f"{i}.png", [(1, 2, 3, 4, 5), (6, 7, 8, 9, 10)]) for i in range(3340)]
        write_mat(tmp_path / "digitStruct.mat", entries)
        start = time.process_time()
        content = read_digit_struct(tmp_path / "digitStruct.mat")
        assert len(content) == 3340 and content.values[-1].tolist() == [6, 7, 8, 9, 10]
        assert time.process_time() - start < 1


@pytest.mark.filterwarnings("ignore:.*more than 5 digits")
class TestFullNumbers:
    def test_labels_end_in_blanks_and_ten_is_zero(self, svhn):
        data = sets.svhn_numbers32(svhn, "test")
        assert data.labels.tolist() == [
            [1, 9, BLANK, BLANK, BLANK],
            [5, BLANK, BLANK, BLANK, BLANK],
            [2, 1, 0, BLANK, BLANK],
            [9, 8, 7, 6, 5],
        ]
        assert data.too_long == ("4.png",) and data.missing == ()
        assert data.describe(3) == "5.png" and data.split == "test"

    def test_a_crop_is_the_union_of_boxes_in_grey(self, svhn):
        image, _ = sets.svhn_numbers32(svhn, "test")[0]
        with Image.open(svhn / "test" / "1.png") as whole:
            crop = whole.convert("L").crop((10, 4, 28, 25))
        wanted = np.array(crop.resize((32, 32), Image.Resampling.BILINEAR))
        assert image.dtype == np.uint8 and np.array_equal(image, wanted)

    def test_the_papers_crop_has_a_margin_and_random_windows_in_training_only(self, svhn):
        data = sets.svhn_numbers54(svhn, "test")
        index = torch.tensor([0, 2, 0])
        still, labels = data.draw(index)
        assert still.shape == (3, 1, 54, 54) and labels.tolist()[1][:3] == [2, 1, 0]
        assert np.array_equal(still[0, 0].numpy(), data[0][0])
        moved = data.draw(index, epoch=1, seed=3)[0]
        whole = PAPER.cut(Image.open(svhn / "test" / "1.png"), data.boxes[0])
        windows = torch.from_numpy(whole).unfold(0, 54, 1).unfold(1, 54, 1)
        found = (windows == moved[0, 0]).flatten(2).all(-1)
        assert whole.shape == (64, 64) and found.any() and not torch.equal(moved, still)
        assert torch.equal(data.draw(index, epoch=1, seed=3)[0], moved)

    def test_absent_images_are_reported_and_left_out(self, svhn):
        for name in ("1.png", "5.png"):
            (svhn / "test" / name).unlink()
        with pytest.warns(ZooWarning, match="2 of 5 images of .* are absent: 1.png, 5.png$"):
            data = sets.svhn_numbers32(svhn, "test")
        assert data.files == ["2.png", "3.png"] and data.missing == ("1.png", "5.png")
        assert len(data) == len(data.labels) == 2
        for path in (svhn / "test").glob("*.png"):
            path.unlink()
        with pytest.raises(DataError, match="none of the 5 images"):
            sets.svhn_numbers32(svhn, "test")

    def test_a_damaged_image_is_named_when_it_is_read(self, svhn):
        path = svhn / "test" / "2.png"
        path.write_bytes(path.read_bytes()[:100])
        data = sets.svhn_numbers32(svhn, "test")
        assert data[0][0].shape == (32, 32)
        with pytest.raises(DataError, match="2.png"):
            data[1]
        with pytest.raises(DataError, match="2.png"):
            data.draw(torch.tensor([0]))

    @pytest.mark.parametrize("label", [0, 11, -1, float("nan")])
    def test_a_label_that_cannot_be_is_refused(self, svhn, label):
        write_mat(svhn / "test" / "digitStruct.mat", [("1.png", [(label, 1, 1, 5, 5)])])
        with pytest.raises(DataError, match="1.png has no digit"):
            sets.svhn_numbers32(svhn, "test")

    def test_folders_and_splits(self, svhn, monkeypatch):
        assert sets.svhn_numbers32(svhn / "test").split == "test"
        monkeypatch.setenv("ZOO_DATA", str(svhn))
        assert len(sets.svhn_numbers32()) == 4
        with pytest.raises(DataError, match="train"):
            sets.svhn_numbers32(svhn, "train")
        with pytest.raises(DataError, match="no <split>/digitStruct.mat"):
            sets.svhn_numbers32(svhn / "absent")

    def test_subsets_hold_their_own_images(self, svhn):
        data = sets.svhn_numbers32(svhn, "test")
        part = data.subset(torch.tensor([3, 1]))
        assert len(part) == 2 and part.describe(0) == "5.png"
        assert torch.equal(part.draw(torch.tensor([0, 1]))[0], data.draw(torch.tensor([3, 1]))[0])

    def test_boxes_are_clipped_and_never_empty(self):
        assert union(np.array([[5.0, 4, 3, 10], [9, 2, 4, 6]])) == (5, 2, 13, 14)
        assert grown((10, 10, 20, 20), 0.3, (100, 100)) == (8, 8, 22, 22)
        assert grown((-5, -3, 200, 40), 0.3, (30, 20)) == (0, 0, 30, 20)
        assert grown((50, 50, 60, 60), 0.0, (30, 20)) == (29, 19, 30, 20)
        assert Form(mode="RGB").cut(Image.new("L", (9, 9)), (1, 1, 4, 4)).shape == (32, 32, 3)


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


class TestCropped:
    def test_the_published_form_is_read(self, tmp_path):
        images = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 4), dtype=np.uint8)
        labels = np.array([[1], [9], [10], [5]], np.uint8)
        savemat(tmp_path / "train_32x32.mat", {"X": images, "y": labels})
        data = sets.svhn_cropped(tmp_path, "train")
        assert [data[i][1] for i in range(4)] == [1, 9, 0, 5]
        assert np.array_equal(data[2][0], images[..., 2])
        with pytest.raises(DataError, match="test"):
            sets.svhn_cropped(tmp_path, "test")

    def test_damage_and_absence_are_named(self, tmp_path, monkeypatch):
        with pytest.raises(DataError, match="test_32x32.mat"):
            sets.svhn_cropped(tmp_path)
        with pytest.raises(DataError, match="train_32x32.mat"):
            sets.svhn_cropped(tmp_path, "train")
        (tmp_path / "test_32x32.mat").write_bytes(b"MATLAB 5.0 MAT-file" * 20)
        with pytest.raises(DataError, match="cropped digits"):
            sets.svhn_cropped(tmp_path)
        monkeypatch.setitem(sys.modules, "scipy.io", None)
        with pytest.raises(DataError, match=r"attention-zoo\[svhn\]"):
            sets.svhn_cropped(tmp_path)


class TestSynthetic:
    def test_labels_are_numbers_that_end_in_blanks(self):
        data = sets.synthetic_numbers32(None, "test")
        images, labels = data.draw(torch.arange(400))
        lengths = (labels != BLANK).sum(1)
        assert images.shape == (400, 1, 32, 32) and lengths.min() == 1
        assert all((row[n:] == BLANK).all() for row, n in zip(labels, lengths, strict=True))
        assert (labels[lengths > 1, 0] > 0).all()
        assert 0.4 < (lengths == 2).float().mean() < 0.7 and (lengths == 4).any()

    def test_almost_all_have_contrast(self):
        data = sets.synthetic_numbers54(None, "test")
        images, labels = data.draw(torch.arange(200))
        contrast = images.flatten(1).float()
        spread = contrast.quantile(0.95, 1) - contrast.quantile(0.05, 1)
        assert (spread > 15).float().mean() > 0.97

    def test_without_matplotlib_the_error_says_what_to_install(self, monkeypatch):
        from zoo_plugins.digits import glyphs

        glyphs.load_glyphs.cache_clear()
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(DataError, match=r"attention-zoo\[viz\]"):
            sets.synthetic_numbers32(None, "train")


def test_only_what_is_left_out_is_warned_of(svhn):
    with pytest.warns(ZooWarning, match="1 of 5 .* have more than 5 digits: 4.png$") as caught:
        sets.svhn_numbers54(svhn, "test")
    assert len(caught) == 1
    write_mat(svhn / "test" / "digitStruct.mat", ENTRIES[:3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sets.svhn_numbers54(svhn, "test")
