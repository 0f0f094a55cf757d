"""Sequences of labels: readings against a reader of lists, counts against torchmetrics."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_exact_match
from zoo_plugins.datasets.canvases import sets
from zoo_plugins.datasets.house_numbers import sets as house_numbers
from zoo_plugins.networks.baselines.sequence import SequenceCrossEntropy
from zoo_plugins.networks.dram.reinforce import SequenceReinforce

import zoo
from zoo.cli import main
from zoo.data.sequences import PAD, LabelSequence
from zoo.errors import DataError, UsageError
from zoo.evaluation import Preprocessing, evaluate
from zoo.evaluation.metrics import SequenceTally
from zoo.evaluation.picture import save_glimpses

NO_END = LabelSequence(length=3, num_classes=4)
STOPS = LabelSequence(length=3, num_classes=4, end=3)
PLACES = LabelSequence(length=3, num_classes=4, end=3, each_place=True)
ROWS = st.lists(st.integers(0, 3), min_size=3, max_size=3)


def cut(row: list[int], end: int) -> list[int]:
    return row[: row.index(end)] if end in row else row


class TestReading:
    @settings(max_examples=100, deadline=None)
    @given(ROWS, ROWS)
    def test_what_follows_the_end_means_nothing_where_reading_stops(self, found, label):
        pair = torch.tensor([found]), torch.tensor([label])
        assert bool(STOPS.wrong(*pair)) == (cut(found, 3) != cut(label, 3))
        assert bool(NO_END.wrong(*pair)) == bool(PLACES.wrong(*pair)) == (found != label)

    @settings(max_examples=50, deadline=None)
    @given(ROWS)
    def test_labels_count_up_to_and_with_the_end(self, label):
        row = torch.tensor([label])
        assert STOPS.counted(row).sum() == min(3, len(cut(label, 3)) + 1)
        assert PLACES.counted(row).sum() == STOPS.counted(row).sum()
        assert NO_END.counted(row).all()

    def test_labels_are_filled_up_with_the_end(self):
        ragged = torch.tensor([[1, PAD], [1, 2], [3, 0]])
        assert STOPS.fit(ragged).tolist() == [[1, 3, 3], [1, 2, 3], [3, 0, 3]]
        assert STOPS.fit(torch.tensor([2, 3])).tolist() == [[2, 3, 3], [3, 3, 3]]
        long = torch.tensor([[1, 3, 99, 3, 7], [0, 1, 2, 3, -5]])
        assert STOPS.fit(long).tolist() == [[1, 3, 99], [0, 1, 2]]
        assert PLACES.fit(torch.tensor([[1, 0, 2, 3, 3]])).tolist() == [[1, 0, 2]]

    @pytest.mark.parametrize(
        ("kind", "label", "message"),
        [
            (STOPS, [0, 1, 2, 0], r"label \[0, 1, 2, 0\] of image 8 is longer than the model's 3"),
            (PLACES, [0, 3, 3, 3, 1], "is longer"),
            (NO_END, [0, 1, 2, 3], "is longer"),
            (NO_END, [0, 1, PAD], r"label \[0, 1\] of image 8 is shorter"),
            (NO_END, [0, 1], r"label \[0, [01]\] of image . is shorter"),
            (STOPS, [0, 4, 3], "4 is none of the model's classes, 0 to 3"),
            (PLACES, [3, 3, 4], "4 is none"),
            (NO_END, [0, -1, 3], "-1 is none"),
        ],
    )
    def test_labels_that_do_not_fit(self, kind, label, message):
        good = (label * 3)[: len(label)] if len(label) == 2 else [0, 1, 2, 3, 3][: len(label)]
        if kind is NO_END and len(label) > 3:
            good = [0, 1, 2, *[PAD] * (len(label) - 3)]
        with pytest.raises(DataError, match=message):
            kind.fit(torch.tensor([good, label]), [7, 8])

    def test_captions(self):
        assert STOPS.text([1, 2, 3]) == "1 2" and STOPS.text([3, 1, 1]) == "nothing"
        assert PLACES.text([3, 1, 3]) == "- 1" and NO_END.text([3, 0, 1]) == "3 0 1"


class TestCounts:
    @pytest.mark.parametrize("kind", [NO_END, STOPS, PLACES])
    def test_shares_add_up_to_torchmetrics(self, kind):
        torch.manual_seed(0)
        labels, logits = torch.randint(4, (97, 3)), torch.randn(97, 3, 4)
        hot = torch.nn.functional.one_hot(labels, 4)
        logits += 4 * hot * (torch.rand(97, 3, 1) < 0.7)
        parts = [SequenceTally(sequence=kind) for _ in range(3)]
        for number, start in enumerate(range(0, 97, 10)):
            chosen = slice(start, start + 10)
            parts[number % 3].update(logits[chosen], labels[chosen])
        tally = SequenceTally(sequence=kind)
        for part in parts:
            tally += part
        # What does not matter is made right in both.
        found, after = logits.argmax(-1), torch.zeros(97, 3, dtype=torch.bool)
        if kind is not NO_END:
            after = torch.tensor([[3 in row[:i] for i in range(3)] for row in labels.tolist()])
        same = torch.where(after, labels, found) if kind is STOPS else found
        whole = multiclass_exact_match(same, labels, 4)
        single = multiclass_accuracy(found[~after], labels[~after], 4, average="micro")
        assert tally.metrics()["sequence_accuracy"] == pytest.approx(100 * float(whole))
        assert tally.metrics()["label_accuracy"] == pytest.approx(100 * float(single))
        assert (tally.count, tally.labels) == (97, int((~after).sum()))

    def test_undefined_logits_are_wrong(self):
        labels = torch.tensor([[0, 1, 2]] * 3)
        logits = torch.nn.functional.one_hot(labels, 4).float()
        logits[1, 2, 0] = float("nan")
        tally = SequenceTally(sequence=NO_END)
        tally.update(logits, labels)
        assert (tally.count, tally.undefined, tally.whole, tally.right) == (3, 1, 2, 6)
        tally.update(logits, labels)
        assert (tally.count, tally.undefined, tally.whole, tally.right) == (6, 2, 4, 12)
        assert tally.rows() == {"sequences": "66.67 %  (error 33.33 %)", "labels": "66.67 %  of 18"}


class Reader(nn.Module):
    """Reads the first pixels of an image: pixel i says class i, in tens."""

    in_chans = 1

    def __init__(self, kind: LabelSequence | None) -> None:
        super().__init__()
        self.label_sequence, self.num_classes = kind, 4
        self.scale = nn.Parameter(torch.ones(()))
        self.pretrained_cfg = {
            "input_size": (1, 4, 4), "mean": (0.0,), "std": (1.0,), "crop_pct": 1.0,
        }  # fmt: skip

    def sequence(self, image):
        seen = (255 * image[:, 0, 0, :3, None] / 10 - torch.arange(4)).abs()
        return -seen * self.scale

    def forward(self, image):
        return self.sequence(image)[:, 0]


class Rows:
    """Images that say `seen`, with labels."""

    name, split, num_classes = "rows", "test", None

    def __init__(self, seen: list[list[int]], labels: list[Any], bad: tuple[int, ...] = ()) -> None:
        self.images = np.zeros((len(seen), 4, 4), np.uint8)
        self.images[:, 0, :3] = 10 * np.array(seen)
        self.labels, self.bad = labels, bad

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index in self.bad:
            raise OSError("image file is truncated")
        return self.images[index], self.labels[index]


SEEN = [[1, 3, 2], [0, 1, 2], [2, 2, 3], [3, 0, 0], [1, 3, 3]]
LABELS = [[1], [0, 1, 2], np.array([2, 1]), [3, 3, 3], torch.tensor([1, 3])]


class TestEvaluate:
    @pytest.mark.parametrize("workers", [0, 1])
    def test_sequences_of_any_length(self, workers):
        got: list[Any] = []
        result = evaluate(
            Reader(STOPS), Rows(SEEN, LABELS), batch_size=2, workers=workers,
            sink=lambda i, logits, labels: got.append((i, logits.shape, labels.tolist())),
        )  # fmt: skip
        assert result.sequence_accuracy == 100 * 4 / 5  # all but the third
        assert result.label_accuracy == 100 * 10 / 11  # 2 + 3 + 3 + 1 + 2
        assert got[1] == ([2, 3], (2, 3, 4), [[2, 1, 3], [3, 3, 3]])
        record = result.record("reader")
        assert record["metrics"] == {"sequence_accuracy": 80.0, "label_accuracy": 100 * 10 / 11}
        text = result.text()
        assert "sequences 80.00 %  (error 20.00 %)" in text and "90.91 %  of 11" in text
        with pytest.raises(UsageError, match="sequence_accuracy"):
            _ = result.top1

    def test_every_place_may_be_read(self):
        result = evaluate(Reader(PLACES), Rows(SEEN, LABELS), workers=0)
        assert result.sequence_accuracy == 100 * 2 / 5  # digits after a blank are too many
        assert result.label_accuracy == 100 * 10 / 11

    def test_what_cannot_be_read_is_left_out(self):
        result = evaluate(Reader(STOPS), Rows(SEEN, LABELS, bad=(0, 2)), workers=0, batch_size=1)
        assert result.sequence_accuracy == 100 and len(result.skipped) == 2

    @pytest.mark.parametrize(
        ("kind", "labels", "message"),
        [
            (STOPS, [1, 2, 3, 0, 1], "one label, where a sequence of up to 3"),
            (None, LABELS, "labels, where one class"),
            (None, [1, 2, [1, 2], 0, 1], "2 labels, where one class"),
            (STOPS, [np.eye(3, dtype=int)] * 5, r"shape \(3, 3\)"),
            (STOPS, [*LABELS[:4], [0, 1, 2, 0]], r"\[0, 1, 2, 0\] of image 4 is longer"),
            (NO_END, [[0, 1, 2]] * 4 + [[0, 1]], "of image 4 is shorter"),
            (STOPS, [*LABELS[:4], [0, 4]], "image 4: 4 is none"),
        ],
    )
    @pytest.mark.parametrize("bad", [(), (0,)])
    def test_labels_of_another_kind(self, kind, labels, message, bad):
        with pytest.raises(DataError, match=message):
            evaluate(Reader(kind), Rows(SEEN, labels, bad), workers=0, batch_size=1)

    def test_a_sequence_of_one_is_a_class(self):
        one = LabelSequence(length=1, num_classes=4)
        reader = Reader(one)
        reader.sequence = lambda image: Reader.sequence(reader, image)[:, :1]
        result = evaluate(reader, Rows(SEEN, [1, 0, 2, 3, 0]), workers=0)
        assert result.sequence_accuracy == result.label_accuracy == 80

    def test_classes_must_be_the_models(self):
        data: Any = Rows(SEEN, LABELS)
        for classes in (3, 4):  # without the end symbol, and with it
            data.num_classes = classes
            assert evaluate(Reader(STOPS), data, workers=0).tally.count == 5
        data.num_classes = 5
        with pytest.raises(DataError, match="5 classes and the model 4"):
            evaluate(Reader(STOPS), data, workers=0)
        data.num_classes = 3
        with pytest.raises(DataError, match="3 classes and the model 4"):
            evaluate(Reader(NO_END), data, workers=0)


NARROW = {"widths": (4,) * 8, "fc": (16, 16)}
GLIMPSES: dict[str, Any] = {
    "patch_size": 9, "filters": (4, 4, 6), "glimpse_dim": 16, "cell_size": 12,
    "context_filters": (3, 3, 4),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options", "data"),
    [
        ("dram_mnist_pairs", GLIMPSES, "mnist_pairs"),
        ("dram_mnist_pairs", {**GLIMPSES, "forward_backward": True}, "mnist_pairs"),
        ("dram_svhn", {**GLIMPSES, "num_targets": 6}, "synthetic_numbers54"),
        ("dram_svhn", {**GLIMPSES, "num_targets": 3}, "mnist_pairs"),
        ("cnn11_svhn", NARROW, "synthetic_numbers54"),
        ("cnn11_svhn", {**NARROW, "digit_classes": 10}, "synthetic_numbers54"),
        ("cnn_svhn_grey", {}, "synthetic_numbers32"),
        ("cnn_svhn_grey", {"digits": 2}, "mnist_pairs"),
        ("stn_svhn", NARROW, "synthetic_numbers54"),
    ],
)
def test_what_training_and_evaluation_call_wrong(name: str, options: Any, data: str) -> None:
    """Both against rows of lists, of labels that the model does get right at times."""
    torch.manual_seed(0)
    model: Any = zoo.create_model(name, **options).eval()
    source = sets if hasattr(sets, data) else house_numbers
    numbers = getattr(source, data)(None, "test").subset(torch.arange(24))
    seen: list[torch.Tensor] = []
    evaluate(model, numbers, workers=0, batch_size=7, sink=lambda i, x, y: seen.append(x))
    found = torch.cat(seen).argmax(-1).tolist()
    end = None if name == "dram_mnist_pairs" else 10
    stops = name.startswith("dram") and end is not None

    class Mine:
        """Every second label is what the model reads, whatever follows its end with it."""

        num_classes = numbers.num_classes

        def __len__(self) -> int:
            return 24

        def __getitem__(self, index: int) -> Any:
            image, label = numbers[index]
            return image, np.array(found[index]) if index % 2 else label

    result = evaluate(model, Mine(), workers=0, batch_size=5)
    whole, right, count = 0, 0, 0
    for index in range(24):
        label = Mine()[index][1].tolist()
        label = label + [end] * (len(found[index]) - len(label))
        read = found[index]
        upto = label.index(end) + 1 if end in label else len(label)
        whole += read[:upto] == label[:upto] if stops else read == label
        right += sum(a == b for a, b in zip(read[:upto], label[:upto], strict=True))
        count += upto
    assert (result.tally.whole, result.tally.right, result.tally.labels) == (whole, right, count)
    assert whole >= 12
    settings = Preprocessing.of(model)
    pixels = [_pixels(settings, Mine()[i][0]) for i in range(24)]
    labels = [torch.as_tensor(Mine()[i][1]) for i in range(24)]
    filled = [torch.nn.functional.pad(y, (0, len(found[0]) - len(y)), value=10) for y in labels]
    objective = (SequenceReinforce if name.startswith("dram") else SequenceCrossEntropy)(model)
    with torch.inference_mode():
        wrong = objective.wrong(model, torch.cat(pixels), torch.stack(filled))["val_error"]
    assert int(wrong) == 24 - whole


def _pixels(settings: Preprocessing, image: Any) -> torch.Tensor:
    from zoo.data.preprocessing import ToPixels

    return settings.normalise(torch.from_numpy(ToPixels(settings)(image))[None])


def test_other_numbers_of_classes_make_classifiers() -> None:
    assert zoo.create_model("cnn_svhn_grey", num_classes=10).label_sequence is None
    assert zoo.create_model("dram_mnist_addition", **GLIMPSES).label_sequence is None
    assert zoo.create_model("dram_svhn", num_classes=0, **GLIMPSES).label_sequence is None


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Any:
    """An untrained `cnn_svhn_grey` and `dram_mnist_pairs`, as files."""
    folder = tmp_path_factory.mktemp("weights")
    for name in ("cnn_svhn_grey", "dram_mnist_pairs"):
        torch.manual_seed(0)
        save_file(zoo.create_model(name).state_dict(), folder / f"{name}.safetensors")
    return folder


def call(monkeypatch, capsys, name: str, folder: Any, *arguments: Any) -> tuple[int, str, str]:
    given = [name, "--weights", folder / f"{name}.safetensors", "--workers", 0, *arguments]
    monkeypatch.setattr(sys, "argv", ["zoo", "eval", *map(str, given)])
    with pytest.raises(SystemExit) as ended:
        main()
        raise SystemExit(0)
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_the_command(monkeypatch, capsys, weights, tmp_path) -> None:
    """On the data that the model's own weights are measured on, since none is named."""
    name, more = "dram_mnist_pairs", ("--limit", 9)
    picture = tmp_path / "p.png"
    code, out, _ = call(monkeypatch, capsys, name, weights, *more, "--picture", picture)
    assert code == 0 and "of 18" in out and "9 images" in out and picture.stat().st_size
    shown = next(line for line in out.splitlines() if line.startswith("sequences")).split()[1]
    code, out, _ = call(monkeypatch, capsys, name, weights, *more, "--json")
    record = json.loads(out)
    assert record["metrics"].keys() == {"sequence_accuracy", "label_accuracy"}
    assert f"{record['metrics']['sequence_accuracy']:.2f}" == shown
    assert (record["data"]["name"], record["data"]["count"]) == ("mnist_pairs", 9)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("stn_svhn_multi", (), "on which data"),
        ("dram_mnist_pairs", ("--data", "mnist"), "one label"),
        ("dram_mnist_pairs", ("--data", "synthetic_numbers32"), "11 classes and the model 10"),
        ("cnn_svhn_grey", ("--data", "mnist"), "one label"),
    ],
)
def test_wrong_calls(monkeypatch, capsys, weights, name, arguments, message) -> None:
    code, out, err = call(monkeypatch, capsys, name, weights, *arguments)
    assert code and not out and message in err and "Traceback" not in err


def test_captions_of_a_picture(tmp_path, monkeypatch) -> None:
    torch.manual_seed(0)
    model: Any = zoo.create_model("dram_mnist_pairs", **GLIMPSES)
    texts: list[str] = []
    monkeypatch.setattr(
        "zoo.evaluation.picture.draw",
        lambda pixels, path, captions: texts.extend(captions) or np.zeros((4, 4, 3), np.uint8),
    )
    monkeypatch.setattr("zoo.evaluation.picture.save", lambda sheet, file: None)
    data = sets.mnist_pairs(None, "test")
    save_glimpses(tmp_path / "p.png", model, data, count=2)
    first = " ".join(map(str, data[0][1].tolist()))
    assert texts[0].startswith(f"{first}, read as ") and len(texts) == 2
