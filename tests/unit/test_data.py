"""Data sets, on files in their published forms."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import zoo.data
from zoo.data.base import describe
from zoo.data.classes import class_indices
from zoo.data.folder import ImageFolder
from zoo.data.mnist import BUNDLED, MNIST, load, read_idx
from zoo.data.parquet import Parquet
from zoo.data.resolve import open_data
from zoo.data.splits import split_kind
from zoo.data.subset import Subset
from zoo.errors import DataError, UnknownNameError, ZooError
from zoo.registry import Registry, default_registry


@pytest.fixture(scope="module")
def registry() -> Registry:
    known = default_registry()
    return known if "mnist" in known.datasets else Registry(plugins=[zoo.data])


@pytest.fixture(autouse=True)
def no_zoo_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZOO_DATA", raising=False)


def image(colour: int = 0, size: tuple[int, int] = (6, 4)) -> Image.Image:
    return Image.new("RGB", size, (colour, 20, 30))


def png(colour: int = 0) -> bytes:
    buffer = io.BytesIO()
    image(colour).save(buffer, "PNG")
    return buffer.getvalue()


def make_folder(root: Path, *names: str, count: int = 1) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
        for i in range(count):
            image(i).save(root / name / f"{i}.png")
    return root


def write_idx(path: Path, array: np.ndarray) -> None:
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wb") as file:
        file.write(head + array.astype(np.uint8).tobytes())


def write_parquet(path: Path, labels: list, *, names: list[str] | None = None, rows: int = 3):
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": png(i), "path": f"{i}.png"} for i in range(len(labels))]
    table = pa.table({"image": images, "label": labels})
    if names:
        label = {"_type": "ClassLabel", "names": names}
        info = {"info": {"features": {"image": {"_type": "Image"}, "label": label}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, path, row_group_size=rows)


class TestMnist:
    def test_the_bundled_files_are_the_published_ones(self):
        """Digests of the two test files as published, uncompressed."""
        digests = {
            "t10k-images-idx3-ubyte.gz": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels-idx1-ubyte.gz": "27ae3e4e09519cfbb04c329615203637",
        }
        for name, digest in digests.items():
            content = gzip.decompress((BUNDLED / name).read_bytes())
            assert hashlib.md5(content).hexdigest() == digest
        images, labels = load("test")
        assert images.shape == (10000, 28, 28) and images.dtype == np.uint8
        # The published counts of the ten digits in the test set.
        counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        assert np.bincount(labels).tolist() == counts

    @pytest.mark.parametrize("ending", ["", ".gz"])
    def test_training_files_come_from_a_folder(self, tmp_path, ending):
        pixels = np.arange(3 * 4 * 4).reshape(3, 4, 4)
        write_idx(tmp_path / f"train-images-idx3-ubyte{ending}", pixels)
        write_idx(tmp_path / f"train-labels-idx1-ubyte{ending}", np.array([3, 1, 2]))
        data = MNIST(tmp_path, "train")
        assert len(data) == 3 and data[1][1] == 1
        assert np.array_equal(data[2][0], pixels[2])

    def test_training_files_are_found_by_the_environment(self, tmp_path, monkeypatch, registry):
        (tmp_path / "mnist").mkdir()
        write_idx(tmp_path / "mnist/train-images-idx3-ubyte", np.zeros((2, 4, 4)))
        write_idx(tmp_path / "mnist/train-labels-idx1-ubyte", np.array([0, 9]))
        monkeypatch.setenv("ZOO_DATA", str(tmp_path))
        assert open_data("mnist", "train", registry=registry)[1][1] == 9

    def test_absent_training_files_say_where_to_put_them(self):
        with pytest.raises(DataError, match="ZOO_DATA"):
            MNIST(None, "train")

    @pytest.mark.parametrize("damage", ["truncate", "magic", "dimensions", "gzip", "empty"])
    def test_a_damaged_file_is_one_error(self, tmp_path, damage):
        path = tmp_path / "t10k-images-idx3-ubyte"
        write_idx(path, np.zeros((5, 4, 4)))
        content = path.read_bytes()
        damaged = {
            "truncate": content[:-1],
            "magic": b"\1" + content[1:],
            "dimensions": struct.pack(">HBB4I", 0, 8, 4, 1, 1, 1, 1) + b"\0",
            "gzip": gzip.compress(content)[:-9],
            "empty": b"",
        }
        path.write_bytes(damaged[damage])
        with pytest.raises(DataError, match="not a whole IDX file") as error:
            read_idx(path, ndim=3)
        assert str(path) in str(error.value)

    def test_as_many_labels_as_images(self, tmp_path):
        write_idx(tmp_path / "t10k-images-idx3-ubyte", np.zeros((5, 4, 4)))
        write_idx(tmp_path / "t10k-labels-idx1-ubyte", np.zeros(4))
        with pytest.raises(DataError, match="5 images, 4 labels"):
            MNIST(tmp_path)


class TestFolder:
    def test_classes_in_sorted_order(self, tmp_path):
        data = ImageFolder(make_folder(tmp_path, "cat", "ant", "bee", count=2))
        assert [label for _, label in data.samples] == [0, 0, 1, 1, 2, 2]
        assert data.num_classes == 3 and data.describe(2) == "bee/0.png"

    def test_hidden_files_and_folders_are_no_data(self, tmp_path):
        make_folder(tmp_path, "a", "b", ".checkpoints")
        (tmp_path / "a/._0.png").write_bytes(b"x")
        assert len(ImageFolder(tmp_path)) == 2

    def test_a_class_without_images_keeps_its_index(self, tmp_path):
        make_folder(tmp_path, "a", "c")
        (tmp_path / "b").mkdir()
        assert ImageFolder(tmp_path).labels == [0, 2]

    @pytest.mark.parametrize(
        ("asked", "found"),
        [(None, "val"), ("validation", "val"), ("val", "val"), ("train", "train")],
    )
    def test_splits_by_any_name(self, tmp_path, asked, found):
        make_folder(tmp_path / "val", "a", "b")
        make_folder(tmp_path / "train", "a", "b", count=3)
        data = ImageFolder(tmp_path, asked)
        assert data.split == found and len(data) == (6 if found == "train" else 2)

    def test_an_absent_split_lists_those_there_are(self, tmp_path):
        make_folder(tmp_path / "val", "a")
        with pytest.raises(DataError, match="--split val"):
            ImageFolder(tmp_path, "test")

    def test_a_class_may_be_called_test(self, tmp_path):
        assert ImageFolder(make_folder(tmp_path, "control", "test")).num_classes == 2

    def test_no_labels_no_images_no_folder(self, tmp_path, registry):
        with pytest.raises(DataError, match="no images"):
            ImageFolder(tmp_path)
        image().save(tmp_path / "0.png")
        with pytest.raises(DataError, match="without labels"):
            ImageFolder(tmp_path)
        (tmp_path / "a").mkdir()
        with pytest.raises(DataError, match="no images in the class folders"):
            ImageFolder(tmp_path)
        with pytest.raises(DataError, match="no such folder"):
            open_data(tmp_path / "absent", registry=registry)


class TestClasses:
    def test_wordnet_ids_have_imagenets_indices(self):
        """tench, great white shark and toilet tissue are 0, 2 and 999 in ImageNet-1k."""
        indices, count = class_indices(["n15075141", "n01484850", "n01440764"], 1000)
        assert indices == {"n01440764": 0, "n01484850": 2, "n15075141": 999} and count == 1000

    def test_a_model_of_as_many_classes_takes_them_in_order(self):
        assert class_indices(["n15075141", "n01440764"], 2)[0]["n15075141"] == 1

    def test_ids_of_a_larger_imagenet_follow_the_model(self):
        """n00004475 (organism) is the first class of ImageNet-21k in timm, and not in 1k."""
        assert class_indices(["n00004475"], 21841)[1] == 21841
        with pytest.raises(DataError, match="n00004475"):
            class_indices(["n00004475"], 1000)


class TestParquet:
    def test_rows_across_row_groups_and_files(self, tmp_path):
        write_parquet(tmp_path / "data/test-00000-of-00002.parquet", [0, 1, 2, 0, 1])
        write_parquet(tmp_path / "data/test-00001-of-00002.parquet", [2, 2])
        write_parquet(tmp_path / "data/train-00000-of-00001.parquet", [0])
        data = Parquet(tmp_path)
        assert data.split == "test" and len(data) == 7
        order = [6, 0, 5, 3, 1, 2, 4]  # any order, not only forwards
        assert [data[i][1] for i in order] == [2, 0, 2, 0, 1, 2, 1]
        assert [data[i][0].getpixel((0, 0))[0] for i in order] == [1, 0, 0, 3, 1, 2, 4]

    def test_class_names_give_the_number_of_classes(self, tmp_path):
        write_parquet(tmp_path / "test.parquet", [0, 1], names=["a", "b", "c"])
        assert Parquet(tmp_path).num_classes == 3

    def test_labels_may_be_words(self, tmp_path):
        write_parquet(tmp_path / "test.parquet", ["cat", "ant", "cat"])
        data = Parquet(tmp_path / "test.parquet")
        assert data.labels == [1, 0, 1] and data.num_classes == 2

    @pytest.mark.parametrize("labels", [[0, None], [0, -1]])
    def test_rows_without_labels(self, tmp_path, labels):
        write_parquet(tmp_path / "test.parquet", labels)
        with pytest.raises(DataError, match="without a label"):
            Parquet(tmp_path)

    def test_columns_that_are_missing(self, tmp_path):
        pq.write_table(pa.table({"image": [{"bytes": b"", "path": ""}]}), tmp_path / "a.parquet")
        with pytest.raises(DataError, match="no label column"):
            Parquet(tmp_path)
        pq.write_table(pa.table({"label": [1]}), tmp_path / "a.parquet")
        with pytest.raises(DataError, match="no image column"):
            Parquet(tmp_path)

    def test_a_truncated_file_and_an_empty_one(self, tmp_path):
        path = tmp_path / "test.parquet"
        write_parquet(path, [])
        with pytest.raises(DataError, match="no"):
            Parquet(tmp_path)
        write_parquet(path, [0, 1])
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(DataError, match="cannot read the parquet file"):
            Parquet(tmp_path)


class TestNames:
    def test_a_folder_is_read_as_what_it_is(self, tmp_path, registry):
        write_parquet(tmp_path / "p/test.parquet", [0])
        make_folder(tmp_path / "f", "a")
        (tmp_path / "i").mkdir()
        write_idx(tmp_path / "i/t10k-images-idx3-ubyte", np.zeros((1, 4, 4)))
        write_idx(tmp_path / "i/t10k-labels-idx1-ubyte", np.zeros(1))
        kinds = {name: type(open_data(tmp_path / name, registry=registry)) for name in "pfi"}
        assert kinds == {"p": Parquet, "f": ImageFolder, "i": MNIST}

    def test_an_unknown_name_gives_the_closest(self, registry):
        with pytest.raises(UnknownNameError, match="cifar10"):
            open_data("cifar11", registry=registry)

    def test_a_torchvision_set_in_torchvisions_files(self, tmp_path, registry):
        folder = tmp_path / "FashionMNIST/raw"
        folder.mkdir(parents=True)
        for stem in ("t10k", "train"):
            write_idx(folder / f"{stem}-images-idx3-ubyte", np.zeros((2, 28, 28)))
            write_idx(folder / f"{stem}-labels-idx1-ubyte", np.array([4, 7]))
        spec = registry.datasets["fashion_mnist"]
        from zoo.registry.targets import resolve

        data = resolve(spec.target, "test")(tmp_path, None)
        assert (data.name, data.split, len(data), data[1][1]) == ("fashion_mnist", "test", 2, 7)

    def test_a_torchvision_set_that_is_not_there(self, tmp_path, monkeypatch, registry):
        with pytest.raises(DataError, match="ZOO_DATA"):
            open_data("cifar10", registry=registry)
        monkeypatch.setenv("ZOO_DATA", str(tmp_path))
        with pytest.raises(DataError, match="download=True"):
            open_data("cifar10", registry=registry)

    def test_a_hub_copy_serves_a_torchvision_name(self, tmp_path, monkeypatch, registry):
        write_parquet(tmp_path / "cifar10/test.parquet", [1, 9])
        monkeypatch.setenv("ZOO_DATA", str(tmp_path))
        data = open_data("cifar10", registry=registry)
        assert len(data) == 2 and data.num_classes == 10

    @pytest.mark.parametrize("name", sorted(spec.name for spec in zoo.data.DATASETS))
    def test_every_name_is_a_set_or_one_clear_error(self, name, tmp_path, registry):
        from zoo.registry.targets import resolve

        try:
            data = resolve(registry.datasets[name].target, "test")(tmp_path / "absent", "test")
        except ZooError as error:
            assert error.remedy
        else:
            assert len(data)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("Val", "validation"), ("dev", "validation"), ("TEST", "test"), ("training", "train"),
     ("cats", ""), ("", "")],
)  # fmt: skip
def test_a_split_has_one_name_whatever_it_is_called(name: str, kind: str) -> None:
    assert split_kind(name) == kind


class TestSubset:
    """Some images of a data set: what a run holds out, and what it trains on."""

    PLACES = np.array([4, 0, 3, 4])

    @pytest.fixture(params=["numbers", "words", "folder", "bare"])
    def whole(self, request, tmp_path):
        if request.param == "folder":
            return ImageFolder(make_folder(tmp_path, "cat", "dog", "ox", count=2))
        if request.param == "bare":
            return MNIST(None, "test")
        labels = [2, 0, 1, 2, 0] if request.param == "numbers" else ["b", "a", "c", "b", "a"]
        names = ["x", "y", "z"] if request.param == "numbers" else None
        write_parquet(tmp_path / "test.parquet", labels, names=names)
        data = Parquet(tmp_path)
        data.blocks = np.array([0, 0, 1, 1, 2])
        return data

    def test_it_says_of_its_images_what_the_whole_says(self, whole):
        some, defaults = Subset(whole, self.PLACES), {"class_names": {}, "numbered": True}
        for name in ("name", "split", "num_classes", "class_names", "numbered", "in_memory"):
            assert getattr(some, name) == getattr(whole, name, defaults.get(name, False)), name
        for name in ("labels", "blocks"):
            theirs = getattr(whole, name, None)
            wanted = None if theirs is None else np.asarray(theirs)[self.PLACES].tolist()
            ours = getattr(some, name)
            assert (None if ours is None else ours.tolist()) == wanted, name

    def test_its_items_are_those_at_the_places(self, whole):
        some = Subset(whole, self.PLACES)
        assert len(some) == 4
        for ours, place in enumerate(self.PLACES.tolist()):
            (image, label), (theirs, their_label) = some[ours], whole[place]
            assert np.array_equal(np.asarray(image), np.asarray(theirs)) and label == their_label
            assert some.describe(ours) == describe(whole, place)
