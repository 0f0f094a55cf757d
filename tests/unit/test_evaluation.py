"""Evaluation against timm's own loop and models, and torchmetrics' counts."""

from __future__ import annotations

import json
import os
import warnings

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from random_pictures import Noise, random_norms, small
from timm.data import create_transform, resolve_data_config
from torch import nn
from torchmetrics.functional.classification import multiclass_accuracy

from zoo.data.folder import ImageFolder
from zoo.errors import DataError, OptionError, UsageError, ZooError, ZooWarning
from zoo.evaluation import Evaluation, Preprocessing, evaluate, fused, write_record
from zoo.evaluation.forms import FOLDED, FUSED
from zoo.evaluation.loader import share
from zoo.evaluation.metrics import Tally, rank_of
from zoo.evaluation.predictor import Predictor, agrees
from zoo.runtime import device as devices


def timm_logits(model: nn.Module, data: Noise) -> torch.Tensor:
    """timm's own path: its transform to normalised floats, and the model as it is."""
    config = resolve_data_config({}, model=model)
    transform = create_transform(**config, is_training=False)
    x = torch.stack([transform(Image.fromarray(image)) for image in data.images])
    with torch.inference_mode():
        return model.eval()(x)


class TestPredictor:
    @pytest.mark.parametrize(
        ("name", "folded"),
        [
            ("resnet18", True),
            ("mobilenetv3_small_050", True),
            ("tf_mobilenetv3_small_minimal_100", True),  # convolutions with timm's "same" padding
            ("vit_tiny_patch16_224", False),
            ("nf_resnet26", False),  # standardised weights: nothing to fold
        ],
    )
    def test_logits_are_timms(self, name, folded):
        fixed = {"img_size": 48} if name.startswith("vit") else {}
        model, data = small(name, **fixed), Noise(3)
        seen: list[torch.Tensor] = []
        result = evaluate(model, data, workers=0, sink=lambda i, logits, y: seen.append(logits))
        best = FUSED if fused.available(torch.device("cpu"), torch.float32) else FOLDED
        assert result.form == (best if folded else "channels-last")
        expected = timm_logits(model, data)
        assert agrees(torch.cat(seen), expected), (torch.cat(seen) - expected).abs().max()

    def test_the_model_is_left_as_it_was(self):
        model = small().train()
        before = {k: (v.clone(), v.data_ptr()) for k, v in model.state_dict().items()}
        evaluate(model, Noise(3), workers=0)
        assert all(module.training for module in model.modules())
        for key, value in model.state_dict().items():
            old, address = before[key]
            assert torch.equal(value, old) and value.data_ptr() == address, key
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())

    def test_a_norm_that_does_not_follow_is_not_folded(self):
        """Between conv and norm is a ReLU; conv2's output is used twice; norm3 runs twice."""

        class Traps(nn.Module):
            num_classes = 4

            def __init__(self) -> None:
                super().__init__()
                self.convs = nn.ModuleList(nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
                self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(3))
                self.head = nn.Linear(3, 4)

            def forward(self, x):
                x = self.norms[0](self.convs[0](x).relu_())
                y = self.convs[1](x)
                x = self.norms[1](y) + y
                x = self.norms[2](self.norms[2](self.convs[2](x)))
                return self.head(x.mean((2, 3)))

        model = random_norms(Traps())
        settings = Preprocessing(input_size=(3, 8, 8), mean=(0.5,) * 3, std=(0.5,) * 3)
        predict = Predictor(model, settings, device="cpu")
        pixels = torch.randint(0, 256, (4, 8, 8, 3), dtype=torch.uint8)
        with torch.no_grad():
            expected = model(settings.normalise(pixels))
        torch.testing.assert_close(predict(pixels), expected, rtol=1e-4, atol=1e-5)
        assert predict.form == "channels-last"

    def test_a_bfloat16_model_stays_one(self):
        result = evaluate(small().to(torch.bfloat16), Noise(3), workers=0)
        assert result.precision == "bfloat16" and result.tally.undefined == 0

    def test_a_model_without_logits(self):
        with pytest.raises(OptionError, match="no classifier"):
            evaluate(timm.create_model("resnet18", num_classes=0), Noise(2), workers=0)

    def test_a_model_that_cannot_take_its_input(self):
        model = small("vit_tiny_patch16_224", size=65)
        with pytest.raises(ZooError, match="cannot take its input"):
            evaluate(model, Noise(2), workers=0)


class TestDevice:
    def test_no_bfloat16_without_its_instructions(self, monkeypatch):
        cpu = torch.device("cpu")
        assert devices.autocast_dtype(cpu) is None
        monkeypatch.setattr(devices, "cpu_has_bfloat16", lambda: False)
        with pytest.warns(ZooWarning, match="bfloat16"):
            assert devices.autocast_dtype(cpu, True) is None
        monkeypatch.setattr(devices, "cpu_has_bfloat16", lambda: True)
        assert devices.autocast_dtype(cpu, True) is torch.bfloat16
        assert devices.autocast_dtype(cpu, False) is None

    @pytest.mark.parametrize("name", ["nonsense", "meta", "cuda:99"])
    def test_devices_that_are_not_there(self, name):
        with pytest.raises(UsageError, match=name.split(":")[0]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            devices.find_device(name)


class TestCounts:
    @pytest.mark.parametrize("classes", [3, 5, 10, 50])
    def test_accuracy_is_torchmetrics(self, classes):
        torch.manual_seed(classes)
        logits, labels = torch.randn(97, classes), torch.randint(classes, (97,))
        tally = Tally()
        for part in range(0, 97, 10):
            tally.update(logits[part : part + 10], labels[part : part + 10])
        for counted, k in ((tally.top1, 1), (tally.top5, min(5, classes))):
            expected = multiclass_accuracy(logits, labels, classes, "micro", top_k=k)
            assert counted / tally.count == pytest.approx(float(expected))

    def test_equal_logits_go_by_index(self):
        assert rank_of(torch.zeros(3, 4), torch.tensor([0, 1, 3])).tolist() == [0, 1, 3]

    def test_what_a_reader_sees_of_it(self):
        tally = Tally()
        assert tally.note() == ""
        tally.update(torch.eye(8), torch.tensor([0, 1, 2, 3, 4, 5, 0, 0]))
        assert tally.rows() == {"top-1": "75.00 %  (error 25.00 %)", "top-5": "100.00 %"}
        assert tally.note() == "top-1 75.00 %"

    def test_undefined_logits_are_wrong(self):
        logits = torch.tensor([[float("nan"), 0.0], [float("inf"), 0.0], [1.0, 0.0]])
        tally = Tally()
        tally.update(logits, torch.zeros(3, dtype=torch.int64))
        assert (tally.count, tally.top1, tally.undefined) == (3, 1, 2)
        tally.update(logits, torch.zeros(3, dtype=torch.int64))
        assert (tally.count, tally.top1, tally.undefined) == (6, 2, 4)

    @pytest.mark.parametrize(("count", "size", "processes"), [(10, 3, 2), (1, 4, 3), (64, 16, 4)])
    def test_shares_are_all_batches_once(self, count, size, processes):
        alone = share(count, size)
        parts = [share(count, size, rank, processes) for rank in range(processes)]
        assert sorted((r for part in parts for r in part), key=lambda r: r.start) == alone
        assert [i for batch in alone for i in batch] == list(range(count))


class TestEvaluate:
    @pytest.mark.parametrize("workers", [0, 2])
    def test_metrics_are_those_of_timms_logits(self, workers):
        model, data = small(), Noise(23)
        result = evaluate(model, data, batch_size=5, workers=workers)
        order = timm_logits(model, data).argsort(1, descending=True)
        labels = torch.tensor(data.labels)[:, None]
        assert result.top1 == pytest.approx(100 * float((order[:, :1] == labels).sum()) / 23)
        assert result.top5 == pytest.approx(100 * float((order[:, :5] == labels).sum()) / 23)

    @pytest.mark.parametrize("workers", [0, 1])
    def test_unreadable_images_are_named_and_left_out(self, workers):
        model, data = small(), Noise(9, bad=(0, 4, 5))
        result = evaluate(model, data, batch_size=2, workers=workers)
        assert result.skipped == [(f"image {i}", "image file is truncated") for i in (0, 4, 5)]
        record = result.record("m")["data"]
        assert (record["count"], record["skipped"]) == (6, 3)
        good = Noise(9)
        keep = [i for i in range(9) if i not in data.bad]
        right = (timm_logits(model, good).argmax(1) == torch.tensor(good.labels))[keep]
        assert result.top1 == pytest.approx(100 * float(right.sum()) / 6)

    def test_strict_makes_them_an_error(self):
        with pytest.raises(DataError, match="image 4: image file is truncated"):
            evaluate(small(), Noise(6, bad=(4,)), strict=True, workers=0)

    def test_nothing_readable_is_an_error(self):
        with pytest.raises(DataError, match="none of 2 images"):
            evaluate(small(), Noise(2, bad=(0, 1)), workers=0)

    def test_limit_takes_the_first(self):
        seen: list[int] = []
        result = evaluate(
            small(), Noise(9), limit=4, batch_size=3, workers=0, sink=lambda i, *_: seen.extend(i)
        )
        assert seen == [0, 1, 2, 3] and result.tally.count == 4

    def test_classes_must_be_the_models(self):
        with pytest.raises(DataError, match="7 classes and the model 10"):
            evaluate(small(), Noise(3, classes=7), workers=0)

    @pytest.mark.parametrize("label", [10, -1])
    def test_labels_must_be_the_models(self, label):
        data = Noise(3)
        data.num_classes, data.labels[2] = None, label
        with pytest.raises(DataError, match=f"image 2 has label {label}"):
            evaluate(small(), data, workers=0)

    def test_sequences_of_labels_are_refused_at_once(self):
        data = Noise(3)
        data.labels = [np.array([3, 1])] * 3
        with pytest.raises(DataError, match="2 labels, where one class"):
            evaluate(small(), data, workers=0)

    def test_an_empty_data_set(self):
        with pytest.raises(DataError, match="empty"):
            evaluate(small(), Noise(0), workers=0)

    @pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"limit": 0}, {"workers": -1}])
    def test_numbers_that_are_too_small(self, wrong):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            evaluate(small(), Noise(2), **wrong)

    def test_truncated_files_in_a_folder(self, tmp_path):
        for name in "ab":
            (tmp_path / name).mkdir()
            Image.fromarray(Noise(1).images[0]).save(tmp_path / name / "0.jpg")
        whole = (tmp_path / "a/0.jpg").read_bytes()
        (tmp_path / "a/1.jpg").write_bytes(whole[: len(whole) // 2])
        (tmp_path / "b/empty.png").write_bytes(b"")
        (tmp_path / "b/text.png").write_text("not an image")
        model = timm.create_model("resnet18", num_classes=2)
        result = evaluate(model, ImageFolder(tmp_path), workers=0)
        assert [name for name, _ in result.skipped] == ["a/1.jpg", "b/empty.png", "b/text.png"]
        assert result.tally.count == 2


class TestRecord:
    def result(self) -> Evaluation:
        return evaluate(small(), Noise(3), workers=0)

    def test_it_has_what_is_promised(self):
        weights = {"source": "file", "sha256": "0" * 64}
        record = self.result().record("resnet18", weights)
        assert record["weights"] == {**weights, "revision": None}
        assert {"model", "data", "metrics", "images_per_second", "device"} <= record.keys()
        assert record["versions"]["torch"] == torch.__version__.split("+")[0]

    def test_it_is_written_whole_or_not_at_all(self, tmp_path, monkeypatch):
        path = tmp_path / "deep" / "r.json"
        write_record(path, {"a": 1})

        def full(descriptor):
            raise OSError("full")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="full"):
            write_record(path, {"a": 2})
        assert json.loads(path.read_text()) == {"a": 1}
        assert [p.name for p in path.parent.iterdir()] == ["r.json"]
