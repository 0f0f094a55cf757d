"""What a folder of images holds: every picture once, nothing else, and nothing in silence."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from timm.data import create_dataset

from zoo.data.folder import ImageFolder
from zoo.data.preprocessing import Preprocessing
from zoo.errors import DataError
from zoo.evaluation.loader import batches

TINY = Preprocessing(input_size=(3, 4, 4), mean=(0.5,) * 3, std=(0.5,) * 3)


def picture(path: Path, form: str = "PNG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 6), (90, 20, 30)).save(path, form)
    return path


def classes(root: Path, *names: str) -> Path:
    for name in names:
        picture(root / name / "0.png")
    return root


def skipped(data: ImageFolder) -> list[str]:
    found = list(batches(data, TINY, [range(len(data))], workers=0))
    return [name for batch in found for _, (_, name, _) in enumerate(batch.skipped)]


def test_pictures_of_any_ending(tmp_path):
    names = [
        ("0.jpg", "JPEG"), ("1.JPG", "JPEG"), ("2.jfif", "JPEG"), ("3.jpe", "JPEG"),
        ("4.gif", "GIF"), ("5.avif", "AVIF"), ("6.jp2", "JPEG2000"), ("7.tga", "TGA"),
        ("8", "PNG"), ("9.jpg?width=200", "JPEG"), ("10.dat", "WEBP"), ("11.ico", "ICO"),
    ]  # fmt: skip
    for name, form in names:
        picture(tmp_path / "a" / name, form)
    data = ImageFolder(tmp_path)
    assert {data.describe(i) for i in range(len(data))} == {f"a/{name}" for name, _ in names}
    assert not skipped(data) and not data.left_out


@pytest.mark.parametrize("name", ["0.heic", "0.cr2", "0.jxl", "0.svg"])
def test_pictures_that_pillow_cannot_read_are_named(tmp_path, name):
    classes(tmp_path, "a")
    (tmp_path / "a" / name).write_bytes(b"\0" * 99)
    assert skipped(ImageFolder(tmp_path)) == [f"a/{name}"]


def test_files_that_are_no_pictures_are_counted(tmp_path):
    classes(tmp_path, "a")
    (tmp_path / "a/notes.txt").write_text("bad light")
    (tmp_path / "a/0.npy").write_bytes(b"\x93NUMPY")
    picture(tmp_path / "stray.png")
    assert sorted(ImageFolder(tmp_path).left_out) == ["a/0.npy", "a/notes.txt", "stray.png"]


JUNK = ("@eaDir", "__MACOSX", ".ipynb_checkpoints", "lost+found", "#recycle", "$RECYCLE.BIN")


@pytest.mark.parametrize("junk", JUNK)
def test_folders_of_systems_are_no_data(tmp_path, junk):
    for split in ("train", "val"):
        classes(tmp_path / split, "a", "b")
        picture(tmp_path / split / "a" / junk / "0.png")
        picture(tmp_path / split / junk / "0.png")
    picture(tmp_path / junk / "0.png")
    data = ImageFolder(tmp_path)
    assert (data.split, data.num_classes, len(data)) == ("val", 2, 2)


@pytest.mark.parametrize("junk", ["Thumbs.db", "desktop.ini", ".DS_Store", "._0.png"])
def test_files_of_systems_are_no_data(tmp_path, junk):
    classes(tmp_path, "a")
    shutil.copy(tmp_path / "a/0.png", tmp_path / "a" / junk)
    data = ImageFolder(tmp_path)
    assert len(data) == 1 and not data.left_out


@pytest.mark.parametrize("target", ["..", ".", "../..", "../b"])
def test_a_link_within_the_folder_multiplies_nothing(tmp_path, target):
    classes(tmp_path, "a", "b")
    (tmp_path / "a/link").symlink_to(target, target_is_directory=True)
    assert ImageFolder(tmp_path).labels == [0, 1]


def test_a_link_to_the_folder_itself_is_no_class(tmp_path):
    classes(tmp_path, "a", "b")
    (tmp_path / "c").symlink_to(tmp_path, target_is_directory=True)
    assert ImageFolder(tmp_path).num_classes == 2


def test_links_that_lead_outside_are_followed_once(tmp_path):
    picture(tmp_path / "store/deep/0.png")
    (tmp_path / "store/deep/loop").symlink_to(tmp_path / "store", target_is_directory=True)
    classes(tmp_path / "data", "a")
    (tmp_path / "data/b").symlink_to(tmp_path / "store", target_is_directory=True)
    assert ImageFolder(tmp_path / "data").labels == [0, 1]


@pytest.mark.parametrize("target", ["data/a", "data/a/deep", "store"])
def test_two_names_of_one_class_are_refused(tmp_path, target):
    classes(tmp_path / "data", "a")
    picture(tmp_path / "data/a/deep/0.png")
    picture(tmp_path / "store/0.png")
    for name in ("b", "c"):
        (tmp_path / "data" / name).symlink_to(tmp_path / target, target_is_directory=True)
    with pytest.raises(DataError, match="are one folder|is a link to another class"):
        ImageFolder(tmp_path / "data")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["0.png", "pipe"])
def test_a_pipe_does_not_hang(tmp_path, name):
    classes(tmp_path, "b")
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / name)
    data = ImageFolder(tmp_path)
    assert skipped(data) + data.left_out == [f"a/{name}"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_a_class_that_cannot_be_read_is_an_error(tmp_path):
    classes(tmp_path, "a", "b")
    (tmp_path / "a").chmod(0)
    with pytest.raises(DataError, match="cannot read the folder"):
        ImageFolder(tmp_path)
    (tmp_path / "a").chmod(0o755)


def test_a_link_to_nothing_is_named(tmp_path):
    classes(tmp_path, "a")
    (tmp_path / "a/1.png").symlink_to("nowhere.png")
    assert skipped(ImageFolder(tmp_path)) == ["a/1.png"]


class TestSplits:
    @pytest.mark.parametrize("asked", [None, "test", "Test"])
    def test_whatever_their_case(self, tmp_path, asked):
        for split in ("Train", "Test"):
            classes(tmp_path / split, "a", "b")
        assert ImageFolder(tmp_path, asked).split == "Test"

    @pytest.mark.parametrize("other", ["docs", "labels"])
    def test_folders_without_images_beside_them(self, tmp_path, other):
        for split in ("train", "val"):
            classes(tmp_path / split, "a", "b")
        (tmp_path / other).mkdir()
        (tmp_path / other / "readme.txt").write_text("x")
        assert ImageFolder(tmp_path).split == "val"

    def test_images_beside_them_are_refused(self, tmp_path):
        for split in ("train", "val"):
            classes(tmp_path / split, "a", "b")
        picture(tmp_path / "figures/0.png")
        with pytest.raises(DataError, match="splits of the data, or classes as figures") as error:
            ImageFolder(tmp_path)
        assert "--split train | val" in error.value.remedy
        assert len(ImageFolder(tmp_path, "train")) == 2

    def test_classes_of_these_names(self, tmp_path):
        assert ImageFolder(classes(tmp_path, "bus", "test", "train")).num_classes == 3


def test_it_is_the_images_that_timm_finds(tmp_path):
    """timm sorts numbers by their value, too, and counts what a reader would call an image."""
    generator = np.random.default_rng(0)
    for name in map(str, range(12)):
        for i in range(int(generator.integers(1, 4))):
            picture(tmp_path / name / f"{i}.jpg", "JPEG")
    theirs = create_dataset("", str(tmp_path)).reader.samples
    ours = ImageFolder(tmp_path).samples
    with warnings.catch_warnings():
        assert sorted(ours) == sorted((str(path), label) for path, label in theirs)
