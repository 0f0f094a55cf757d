"""The forms of data that fine-tuning streams, as the libraries that own them write them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.data import parquet
from zoo.data.resolve import open_data
from zoo.errors import DataError, SplitNotFoundError
from zoo.feeding.opened import open_for_training
from zoo.feeding.order import TOGETHER, Order
from zoo.recipes import Data, finetune_recipe
from zoo.training.run import train

NAMES = ("cat", "dog", "owl")


def picture(number: int) -> Image.Image:
    pixels = np.random.default_rng(number).integers(0, 256, (20 + number, 30, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def png(number: int) -> bytes:
    file = io.BytesIO()
    picture(number).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def arrow(tmp_path_factory) -> Path:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"photo": datasets.Image(), "kind": datasets.ClassLabel(names=list(NAMES))}
    )
    rows = {"photo": [picture(i) for i in range(12)], "kind": [i % 3 for i in range(12)]}
    made = datasets.Dataset.from_dict(rows, features=features)
    root = tmp_path_factory.mktemp("arrow") / "pets"
    datasets.DatasetDict({"train": made, "validation": made.select(range(3))}).save_to_disk(root)
    return root


def write_shards(root: Path, split: str, count: int, label) -> None:
    webdataset = pytest.importorskip("webdataset")
    root.mkdir(exist_ok=True)
    for shard in range(2):
        with webdataset.TarWriter(str(root / f"pets-{split}-{shard:06d}.tar")) as file:
            for number in range(shard, count, 2):
                sample = {"__key__": f"{number:04d}", "png": png(number), "json": {"n": number}}
                file.write(sample | {"cls": label(number)})


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_a_data_set_of_the_library_datasets(arrow):
    data = open_data(arrow, "train")
    assert [data.labels, data.class_names] == [[0, 1, 2] * 4, dict(enumerate(NAMES))]
    image, label = data[4]
    assert label == 1 and np.array_equal(np.array(image), np.array(picture(4)))
    opened = open_for_training(Data(name="pets", holdout_share=0.5), arrow)
    assert (len(opened.train), len(opened.held_out), opened.split) == (12, 3, "validation")
    assert opened.classes == NAMES


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("own", ["", "train"])
def test_a_split_that_a_dataset_of_that_library_is_not_is_refused(tmp_path, own):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"photo": datasets.Image(), "label": datasets.Value("int64")})
    rows = {"photo": [picture(i) for i in range(4)], "label": [0, 1, 0, 1]}
    made = datasets.Dataset.from_dict(rows, features=features, split=own or None)
    made.save_to_disk(tmp_path / "pets")
    assert open_data(tmp_path / "pets").split == own
    with pytest.raises(SplitNotFoundError, match="no split 'test'"):
        open_data(tmp_path / "pets", "test")
    opened = open_for_training(Data(name="pets", holdout_share=0.5), tmp_path / "pets")
    assert (len(opened.train), len(opened.held_out)) == (2, 2)


def test_shards_are_read_in_any_order_as_webdataset_wrote_them(tmp_path):
    write_shards(tmp_path / "pets", "train", 12, lambda n: n % 3)
    data = open_data(tmp_path / "pets", "train")
    order = [data.describe(i) for i in range(12)]
    assert order[0] == "pets-train-000000.tar: 0000.png" and len(set(order)) == 12
    for place in (11, 0, 6):
        image, label = data[place]
        number = int(order[place][-8:-4])
        assert label == number % 3 and np.array_equal(np.array(image), np.array(picture(number)))


def test_shards_whose_classes_are_words_are_trained_on(tmp_path):
    root = tmp_path / "pets"
    write_shards(root, "train", 12, lambda n: NAMES[n % 3])
    write_shards(root, "val", 3, lambda n: NAMES[n % 3])
    recipe = finetune_recipe("test_resnet", root, epochs=1, batch_size=4, size=32)
    trainer = train(recipe, tmp_path / "out", data=root, workers=1)
    assert trainer.model.pretrained_cfg["label_names"] == list(NAMES)
    assert "val_error" in trainer.curve[-1]


def test_a_sample_without_a_class_and_a_compressed_shard_are_named(tmp_path):
    with tarfile.open(tmp_path / "train-0.tar", "w") as file:
        entry = tarfile.TarInfo("a.png")
        entry.size = len(png(1))
        file.addfile(entry, io.BytesIO(png(1)))
    with pytest.raises(DataError, match="sample /a has no class"):
        open_data(tmp_path, "train")
    with tarfile.open(tmp_path / "train-0.tar", "w:gz"):
        pass
    with pytest.raises(DataError, match="cannot read the shard"):
        open_data(tmp_path, "train")


def test_torchvisions_sets_hold_out_a_part_of_their_training_images(tmp_path):
    """CIFAR-10 has no validation split, and its test set is none."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    root = tmp_path / "cifar10"
    root.mkdir()
    for split, count in (("train", 20), ("test", 10)):
        rows = {
            "img": [{"bytes": png(i), "path": None} for i in range(count)],
            "label": [i % 10 for i in range(count)],
        }
        pq.write_table(pa.table(rows), root / f"{split}-00000-of-00001.parquet")
    opened = open_for_training(Data(name="cifar10", holdout_share=0.5), root)
    assert (len(opened.train), len(opened.held_out), opened.split) == (10, 10, "")


def test_a_parquet_set_that_is_not_kept_whole_is_shuffled_by_row_groups(tmp_path, monkeypatch):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    rows = {
        "image": [{"bytes": png(i % 9), "path": None} for i in range(120)],
        "label": [i % 3 for i in range(120)],
    }
    pq.write_table(pa.table(rows), tmp_path / "train.parquet", row_group_size=3)
    monkeypatch.setattr(parquet, "KEPT", 40_000)
    data = open_data(tmp_path, "train")
    assert isinstance(data, parquet.Parquet) and data.blocks is not None
    order = Order(120, 10, seed=0, blocks=torch.from_numpy(data.blocks))
    read = torch.cat([index for _, index in order.batches(0, 12)])
    assert sorted(read.tolist()) == list(range(120))
    first = {data.blocks[i] for i in read[: 3 * TOGETHER].tolist()}
    assert len(first) == TOGETHER and first != set(range(TOGETHER))
    again = torch.cat([index for _, index in order.batches(12, 24)])
    assert not torch.equal(read, again)
    for place in read[:20].tolist():
        image, label = data[place]
        assert label == place % 3 and np.array_equal(np.array(image), np.array(picture(place % 9)))
    assert sum(column.nbytes for column in data._kept.values()) <= parquet.KEPT
