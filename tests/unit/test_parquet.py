"""Parquet files as the Hub, `datasets`, Spark and people name them; columns of any name."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from zoo.data.parquet import Parquet
from zoo.data.resolve import open_data
from zoo.errors import DataError


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    return buffer.getvalue()


def write(path: Path, labels: Any, *, features: dict[str, Any] | None = None, **more: Any):
    images = [{"bytes": png(), "path": None}] * len(labels)
    columns = {"image": images, "label": labels, **more}
    table = pa.table({name: values for name, values in columns.items() if values is not None})
    if features:
        noted = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": noted})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def class_label(*names: str) -> dict[str, Any]:
    return {"_type": "ClassLabel", "names": list(names)}


LAYOUTS = {
    "the Hub's": ("data/test-00000-of-00001.parquet", "data/train-{i:05d}-of-00002.parquet"),
    "with a digest": (
        "data/test-00000-of-00001-a09b74b3ef9c3b56.parquet",
        "data/train-{i:05d}-of-00002-{i}09b74b3ef9c3b56.parquet",
    ),
    "converted": ("default/test/0000.parquet", "default/train/000{i}.parquet"),
    "in part": ("default/partial-test/0000.parquet", "default/partial-train/000{i}.parquet"),
    "a prefix": ("my-test.parquet", "my-train-{i}.parquet"),
    "a longer prefix": ("fashion_mnist.test.parquet", "fashion_mnist.train_{i}.parquet"),
    "capitals": ("Test.parquet", "Train_{i}.parquet"),
    "Spark's": ("split=test/part-00000.parquet", "split=train/part-0000{i}.parquet"),
}


@pytest.mark.parametrize(("test", "train"), LAYOUTS.values(), ids=LAYOUTS)
def test_splits_are_never_merged(tmp_path, test, train):
    write(tmp_path / test, [0, 1, 0])
    for i in range(2):
        write(tmp_path / train.format(i=i), [1] * (i + 5))
    assert (len(Parquet(tmp_path)), len(Parquet(tmp_path, "test"))) == (3, 3)
    assert len(Parquet(tmp_path, "train")) == 11
    with pytest.raises(DataError, match="no split 'validation'"):
        Parquet(tmp_path, "validation")


def test_splits_of_one_kind_have_their_whole_names(tmp_path):
    for name in ("train-clean", "train-other"):
        write(tmp_path / f"{name}-00000-of-00001.parquet", [0])
    with pytest.raises(DataError) as error:
        Parquet(tmp_path)
    assert error.value.remedy == "--split train-clean | train-other"
    assert len(Parquet(tmp_path, "train-other")) == 1


def test_a_split_by_another_name(tmp_path):
    write(tmp_path / "extra-00000-of-00001.parquet", [0])
    write(tmp_path / "test-00000-of-00001.parquet", [0, 1])
    assert len(Parquet(tmp_path, "extra")) == 1 and len(Parquet(tmp_path)) == 2


def test_two_splits_in_one_name(tmp_path):
    write(tmp_path / "train-and-test.parquet", [0])
    with pytest.raises(DataError, match="two splits"):
        Parquet(tmp_path)


def test_configurations_are_never_merged(tmp_path):
    """SVHN's layout on the Hub: whole house numbers, and single digits."""
    boxes = [{"bbox": [[1, 2, 3, 4]], "label": [5]}]
    write(tmp_path / "full_numbers/test-00000-of-00001.parquet", [None], label=None, digits=boxes)
    write(tmp_path / "cropped_digits/test-00000-of-00001.parquet", [5, 3])
    with pytest.raises(DataError, match="2 configurations") as error:
        open_data(tmp_path)
    assert str(tmp_path / "cropped_digits") in error.value.remedy
    assert open_data(tmp_path / "cropped_digits").labels == [5, 3]
    with pytest.raises(DataError, match="no label column among image, digits"):
        open_data(tmp_path / "full_numbers")


LATER = {
    "renamed labels": ({"label": None, "category": [0]}, "no column 'label'"),
    "renamed images": ({"image": None, "photo": [{"bytes": b"x", "path": ""}]}, "'image'"),
    "labels as text": ({"label": ["0"]}, "not of the first file's classes"),
    "labels of other classes": (
        {"features": {"label": class_label("dog", "cat")}}, "not of the first file's classes",
    ),
    "images of another type": ({"image": ["0.png"]}, "not of the first file's types"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "what"), LATER.values(), ids=LATER)
def test_a_later_file_must_be_like_the_first(tmp_path, change, what):
    same = {"features": {"label": class_label("cat", "dog")}}
    write(tmp_path / "test-00000-of-00002.parquet", [0], **same)
    write(tmp_path / "test-00001-of-00002.parquet", [0], **{**same, **change})
    with pytest.raises(DataError, match=what) as error:
        Parquet(tmp_path)
    assert "00001-of-00002" in error.value.where


COLUMNS = {
    "a number that is no label": ({"label": None, "image_id": [7, 8]}, None),
    "an id beside the label": ({"image_id": [7, 8]}, "label"),
    "noted by another name": (
        {"label": None, "species": [0, 1], "features": {"species": class_label("a", "b")}},
        "species",
    ),
    "two that are noted": (
        {"label": None, "sex": [0, 1], "age": [0, 1],
         "features": {"sex": class_label("a", "b"), "age": class_label("a", "b")}}, None,
    ),
    "fine and coarse": (
        {"label": None, "coarse_label": [0, 0], "fine_label": [0, 1],
         "features": {n: class_label("a", "b") for n in ("coarse_label", "fine_label")}},
        "fine_label",
    ),
    "text": ({"label": ["a", "b"]}, "label"),
    "categories of pandas": ({"label": pa.array(["a", "b"]).dictionary_encode()}, "label"),
    "numbers with a point": ({"label": [0.0, 1.0]}, None),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "found"), COLUMNS.values(), ids=COLUMNS)
def test_the_column_of_the_labels(tmp_path, columns, found):
    write(tmp_path / "test.parquet", [0, 1], **{"label": [0, 1], **columns})
    if found is None:
        with pytest.raises(DataError, match="no label column"):
            Parquet(tmp_path)
    else:
        data = Parquet(tmp_path)
        assert data.label_column == found and data.labels == [0, 1]


def test_two_columns_of_bytes(tmp_path):
    masks = {"image": None, "photo": [b"x"], "mask": [b"x"]}
    write(tmp_path / "test.parquet", [0], **masks)
    with pytest.raises(DataError, match="no image column"):
        Parquet(tmp_path)


def test_one_file(tmp_path):
    write(tmp_path / "my-train.parquet", [0, 1])
    write(tmp_path / "my-test.parquet", [0])
    data = open_data(tmp_path / "my-train.parquet")
    assert (data.split, len(data)) == ("train", 2)
