"""Classes of data sets to classes of models, against models that are right by construction."""

from __future__ import annotations

import csv
import importlib.resources
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import datasets

from zoo.data.classes import match_names, match_numbers
from zoo.data.folder import ImageFolder
from zoo.data.resolve import open_data
from zoo.data.vocabulary import ModelClasses
from zoo.errors import DataError
from zoo.evaluation import evaluate

STEP = 20


class Shade(nn.Module):
    """Sees class k in an image whose grey value is k times `STEP`."""

    def __init__(self, num_classes: int, **config: Any) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.pretrained_cfg = {
            "input_size": (3, 8, 8), "mean": (0.0,) * 3, "std": (1.0,) * 3, **config,
        }  # fmt: skip
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = x.mean((1, 2, 3))[:, None] * 255 / STEP
        return -self.scale * (value - torch.arange(self.num_classes)).abs()


def shade(index: int) -> Image.Image:
    return Image.new("RGB", (9, 9), (index * STEP,) * 3)


def png(index: int) -> bytes:
    buffer = io.BytesIO()
    shade(index).save(buffer, "PNG")
    return buffer.getvalue()


def folders(root: Path, classes: dict[str, int]) -> Path:
    """Folders of these names, with images of these classes."""
    for name, index in classes.items():
        (root / name).mkdir(parents=True)
        shade(index).save(root / name / "0.png")
    return root


def parquet(root: Path, classes: dict[str, int], names: list[str] | None = None) -> Path:
    """Rows with these labels, as text or as indices of `names`, and images of these classes."""
    labels: list[Any] = [names.index(name) if names else name for name in classes]
    images = [{"bytes": png(index), "path": None} for index in classes.values()]
    table = pa.table({"image": images, "label": labels})
    if names:
        noted = {"label": {"_type": "ClassLabel", "names": names}, "image": {"_type": "Image"}}
        info = json.dumps({"info": {"features": noted}})
        table = table.replace_schema_metadata({"huggingface": info})
    root.mkdir(exist_ok=True)
    pq.write_table(table, root / "test-00000-of-00001.parquet")
    return root


NUMBERED = {
    "numbers": {str(i): i for i in range(12)},
    "with zeros": {f"{i:02d}": i for i in range(12)},
    "from one": {str(i + 1): i for i in range(12)},
    "with a word": {f"class{i}": i for i in range(12)},
    "with a word, from one": {f"c_{i + 1}": i for i in range(12)},
    "some of them": {str(i): i for i in (0, 2, 10)},
}


@pytest.mark.parametrize("form", [folders, parquet])
@pytest.mark.parametrize("classes", NUMBERED.values(), ids=NUMBERED)
def test_numbers_are_numbers(tmp_path, form, classes):
    result = evaluate(Shade(12), open_data(form(tmp_path / "d", classes)), workers=0)
    assert result.top1 == 100 and result.tally.count == len(classes)
    assert result.classes and "number" in result.classes.how
    assert result.record()["data"]["classes"]["indices"] == classes
    name, index = next(iter(classes.items()))
    assert f"{name} = {index}" in result.text()


@pytest.mark.parametrize("form", [folders, parquet])
@pytest.mark.parametrize(
    "stated", [["dog", "ant", "tiger cat"], {"0": "dog", "1": "ant", "2": "tiger cat"}]
)
@pytest.mark.parametrize("classes", [{"ant": 1, "dog": 0, "tiger cat": 2}, {"Tiger_Cat": 2}])
def test_the_models_own_names_go_first(tmp_path, form, stated, classes):
    model = Shade(3, label_names=stated)
    result = evaluate(model, open_data(form(tmp_path / "d", classes)), workers=0)
    assert result.top1 == 100
    assert "own label names" in result.text()


def test_the_features_of_a_data_set_are_matched_by_name_too(tmp_path):
    data = parquet(tmp_path / "d", {"ant": 1, "dog": 0}, names=["ant", "dog"])
    assert evaluate(Shade(2, label_names=["dog", "ant"]), open_data(data), workers=0).top1 == 100
    assert evaluate(Shade(2), open_data(data), workers=0).top1 == 0  # as the labels have it


def test_names_that_were_sorted_as_text_are_numbers_again(tmp_path):
    classes = {str(i): i for i in range(12)}
    data = parquet(tmp_path / "d", classes, names=sorted(classes))
    assert evaluate(Shade(12), open_data(data), workers=0).top1 == 100
    theirs = datasets.ImageFolder(str(folders(tmp_path / "f", classes)))
    assert theirs.class_to_idx["10"] == 2
    assert evaluate(Shade(12), theirs, workers=0).top1 == 100


REFUSED = {
    "some are the model's": ({"ant": 0, "bee": 1}, 2, ["ant", "dog"], "label names: bee"),
    "none is the model's": ({"ant": 0, "bee": 1}, 2, ["cat", "dog"], "label names: ant, bee"),
    "more than the model's": ({"a": 0, "b": 1, "c": 2}, 2, [], "3 classes and the model 2"),
    "fewer": ({"a": 0, "b": 1}, 3, [], "2 classes and the model 3"),
    "another data set's numbers": ({"0": 0, "1": 1}, 3, [], "2 classes and the model 3"),
    "a number beyond": ({"0": 0, "7": 1}, 3, [], "class 7, and the model has classes 0 to 2"),
    "one number twice": ({"1": 0, "01": 1, "2": 2}, 3, [], "two classes have the number 1"),
}


@pytest.mark.parametrize("form", [folders, parquet])
@pytest.mark.parametrize(("classes", "count", "names", "what"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_matched_is_refused(tmp_path, form, classes, count, names, what):
    data = open_data(form(tmp_path / "d", classes))
    with pytest.raises(DataError, match=what) as error:
        evaluate(Shade(count, label_names=names), data, workers=0)
    assert error.value.remedy


@pytest.mark.parametrize(
    ("labels", "what"),
    [([0, 12], "image 1 has label 12"), ([0, 1, 2], "3 classes and the model 12")],
)
def test_labels_without_names_are_checked_before_anything_is_computed(tmp_path, labels, what):
    rows = {"image": [{"bytes": b"", "path": None}] * len(labels), "label": labels}
    pq.write_table(pa.table(rows), tmp_path / "test.parquet")
    with pytest.raises(DataError, match=what):
        evaluate(Shade(12), open_data(tmp_path), workers=0)


def test_names_of_another_head_are_passed_over(tmp_path):
    data = ImageFolder(folders(tmp_path, {"ant": 0, "bee": 1}))
    for stated in (["cat", "dog", "eel"], {"0": "cat"}):
        model = Shade(2, label_names=stated)
        model.pretrained_cfg["num_classes"] = 3
        assert evaluate(model, data, workers=0).top1 == 100


@pytest.mark.parametrize(
    ("names", "doubtful"),
    [(["ant", "bee"], False), (["Bee", "ant"], True), (["a10", "a9", "b1"], True)],
)
def test_an_order_that_libraries_do_not_share_is_said(tmp_path, names, doubtful):
    data = ImageFolder(folders(tmp_path, {name: i for i, name in enumerate(names)}))
    result = evaluate(Shade(len(names)), data, workers=0)
    assert any("torchvision and timm" in line for line in result.remarks()) == doubtful


def imagenet() -> list[tuple[str, str]]:
    """(WordNet id, words) of ImageNet-1k's classes, from timm's files."""
    folder = importlib.resources.files("timm.data") / "_info"
    ids = (folder / "imagenet_synsets.txt").read_text().split()
    rows = (folder / "imagenet_synset_to_lemma.txt").read_text(encoding="utf-8").splitlines()
    words = dict(csv.reader(rows, delimiter="\t"))
    return [(name, words[name]) for name in ids]


PICKED = (0, 2, 217, 999)


@pytest.mark.parametrize(
    "spelled",
    [
        lambda synset, words: synset,
        lambda synset, words: words,
        lambda synset, words: words.split(",")[0].replace(" ", "_").upper(),
    ],
)
@pytest.mark.parametrize("own", [None, 0, 1], ids=["silent", "ids", "words"])
def test_imagenets_classes_by_id_and_by_word(spelled, own):
    known = imagenet()
    stated = {} if own is None else {"label_names": [row[own] for row in known]}
    model = ModelClasses.of(1000, stated)
    names = {spelled(*known[index]): index for index in PICKED}
    assert dict(match_names(names, model).indices) == names


def test_the_hubs_imagenet_keeps_its_numbers():
    """Its features are the words, two of them twice, in the order of the classes."""
    words = {index: words for index, (_, words) in enumerate(imagenet())}
    for model in (ModelClasses(1000), ModelClasses.of(1000, {"label_names": list(words.values())})):
        assert match_numbers(words, model).numbers == {index: index for index in range(1000)}
    some = {i: words[index] for i, index in enumerate(PICKED)}
    assert match_numbers(some, ModelClasses(1000)).numbers == dict(enumerate(PICKED))


def test_words_that_are_not_imagenets_are_refused():
    with pytest.raises(DataError, match="imagenet-1k's words: dragon"):
        match_names(["tench", "goldfish", "dragon"], ModelClasses(1000))


def test_a_larger_imagenet_is_not_sorted():
    """timm's 22k in Microsoft's order begins with ImageNet-1k's classes."""
    folder = importlib.resources.files("timm.data") / "_info"
    ids = (folder / "imagenet22k_ms_synsets.txt").read_text().split()
    assert ids != sorted(ids)
    found = match_names(ids, ModelClasses(len(ids)))
    assert [found.indices[name] for name in ids] == list(range(len(ids)))


@pytest.mark.parametrize(
    ("classes", "how"), [({"ant": 0, "bee": 1}, "order"), ({"1": 1, "0": 0}, "number")]
)
def test_names_that_nobody_gave(classes, how):
    model = ModelClasses.of(2, {"label_names": ["LABEL_0", "LABEL_1"]})
    found = match_names(classes, model)
    assert dict(found.indices) == classes and found.how == how


def test_torchvisions_words_of_imagenet(tmp_path):
    """Imagenette's first two classes, as torchvision names them, for a model of ImageNet."""

    class Theirs(list):
        classes = [("tench", "Tinca tinca"), ("English springer", "English springer spaniel")]

    data = Theirs([(shade(0), 0), (shade(10), 1)])
    seen: list[int] = []
    evaluate(Shade(1000), data, workers=0, sink=lambda i, x, y: seen.extend(y.tolist()))
    assert seen == [0, 217]


def test_a_data_set_of_ones_own_may_list_its_class_names():
    class Mine(list):
        name, split, num_classes, class_names = "mine", "", 2, ["zebra", "ant"]

    data = Mine([(shade(0), 0), (shade(1), 1)])
    assert evaluate(Shade(2), data, workers=0).top1 == 100
    assert evaluate(Shade(2, label_names=["ant", "zebra"]), data, workers=0).top1 == 0


def test_a_label_that_the_features_do_not_name():
    class Odd:
        name, split, num_classes = "odd", "", 2
        class_names, numbered, labels = {0: "a", 1: "b"}, True, np.array([0, 1, 5])

        def __len__(self):
            return 3

        def __getitem__(self, index):
            return shade(0), int(self.labels[index])

    with pytest.raises(DataError, match="image 2 has label 5"):
        evaluate(Shade(2), Odd(), workers=0)
