"""House numbers: files in their published form, real or not, and the synthetic ones."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from svhn_files import ENTRIES, make_images, write_mat
from zoo_plugins.datasets.house_numbers import sets
from zoo_plugins.datasets.house_numbers.numbers import BLANK, PAPER, Form, grown, union

from zoo.errors import DataError, ZooWarning


@pytest.fixture
def svhn(tmp_path) -> Path:
    (tmp_path / "test").mkdir()
    write_mat(tmp_path / "test" / "digitStruct.mat", ENTRIES)
    make_images(tmp_path / "test")
    return tmp_path


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
        from zoo_plugins.datasets.house_numbers import glyphs

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
