"""Fast forms of a model, the one that is remembered, and workers that start before the model."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import nn

from zoo.data.folder import ImageFolder
from zoo.data.preprocessing import Preprocessing
from zoo.evaluation import ahead as ahead_module
from zoo.evaluation import evaluate, fused, predictor
from zoo.evaluation.ahead import Ahead, start
from zoo.evaluation.fold import Watch
from zoo.evaluation.forms import CHANNELS_LAST, FUSED, bring
from zoo.evaluation.fused import FusedConv, can_fuse
from zoo.evaluation.job import Job
from zoo.evaluation.loader import share
from zoo.evaluation.predictor import Predictor
from zoo.evaluation.remembered import MOST, Found, Seen, key_of, recall, remember

CPU = torch.device("cpu")
SETTINGS = Preprocessing(input_size=(3, 32, 32), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))
onednn = pytest.mark.skipif(
    not fused.available(CPU, torch.float32), reason="oneDNN's fused calls are for x86"
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "attention-zoo" / "forms"


def network(name: str = "resnet10t") -> nn.Module:
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=7)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.2)
    return model.eval()


def pixels(count: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (count, 32, 32, 3), dtype=torch.uint8, generator=generator)


def test_normalised_pixels_are_the_formula():
    x = pixels()
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (SETTINGS.mean, SETTINGS.std))
    expected = (x.permute(0, 3, 1, 2).float() - mean * 255) / (std * 255)
    assert torch.equal(SETTINGS.normalise(x), expected)


@onednn
class TestFused:
    @pytest.mark.parametrize("act", [nn.ReLU(), nn.Hardswish(), nn.SiLU(), nn.Identity()])
    @pytest.mark.parametrize(
        "options",
        [
            {"kernel_size": 3, "padding": 1},
            {"kernel_size": 3, "stride": 2, "bias": False},
            {"kernel_size": 5, "padding": 4, "dilation": 2, "groups": 8},
            {"kernel_size": 1},
        ],
    )
    def test_one_call_is_the_two(self, act, options):
        torch.manual_seed(1)
        conv = nn.Conv2d(8, 16, **options)
        x = torch.randn(2, 8, 11, 9)
        with torch.no_grad():
            made = FusedConv(conv, act, x.shape)
            for batch in (x, x[:1], torch.randn(5, 8, 11, 9)):
                torch.testing.assert_close(made(batch), act(conv(batch)), rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize(
        ("conv", "act"),
        [
            (nn.Conv2d(3, 3, 3, padding="same"), nn.ReLU()),
            (nn.Conv2d(3, 3, 3, padding_mode="circular"), nn.ReLU()),
            (nn.Conv2d(3, 3, 3), nn.LeakyReLU()),
            (nn.Conv1d(3, 3, 3), nn.ReLU()),
        ],
    )
    def test_others_are_left_alone(self, conv, act):
        assert not can_fuse(conv, act)

    @pytest.mark.parametrize(("name", "acts"), [("resnet10t", 7), ("mobilenetv3_small_050", 21)])
    def test_activations_go_into_their_convolutions(self, name, acts):
        model = network(name)
        x = SETTINGS.normalise(pixels())
        with torch.no_grad(), Watch(model) as watch:
            expected = model(x)
        twin = predictor.share_tensors(model)
        bring(twin, FUSED, watch.seen)
        made = [m for m in twin.modules() if isinstance(m, FusedConv)]
        assert sum(m.act != "none" for m in made) >= acts
        with torch.inference_mode():
            torch.testing.assert_close(twin(x), expected, rtol=1e-4, atol=1e-5)

    def test_an_activation_whose_input_is_used_again_is_not_taken(self):
        """`y` is used before and after the activation: no form but channels-last may stay."""

        class Twice(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.conv, self.act = nn.Conv2d(3, 4, 3), nn.ReLU()

            def forward(self, x):
                y = self.conv(x)
                return (self.act(y) + 3 * y).mean((2, 3))

        torch.manual_seed(0)
        model = Twice()
        predict = Predictor(model, SETTINGS, device="cpu")
        with torch.no_grad():
            expected = model(SETTINGS.normalise(pixels()))
        torch.testing.assert_close(predict(pixels()), expected, rtol=1e-4, atol=1e-5)
        assert predict.form == CHANNELS_LAST


class TestRemembered:
    @pytest.fixture
    def checks(self, monkeypatch):
        """Counts the passes that a form is compared with."""
        passes = []
        original = Predictor._reference
        monkeypatch.setattr(
            Predictor, "_reference", lambda *given: passes.append(1) or original(*given)
        )
        return passes

    def predict(self, model: nn.Module, **options) -> tuple[torch.Tensor, str]:
        made = Predictor(model, SETTINGS, device="cpu", remembers=True, **options)
        return made(pixels()), made.form

    def test_a_form_is_checked_once(self, checks, cache):
        first, second = self.predict(network()), self.predict(network())
        assert len(checks) == 1 and len(list(cache.iterdir())) == 1
        assert first[1] == second[1] != "as it is"
        assert torch.equal(first[0], second[0])

    def test_nothing_is_kept_unless_asked(self, checks, cache):
        Predictor(network(), SETTINGS, device="cpu")(pixels())
        assert not cache.exists()

    @pytest.mark.parametrize("change", ["weight", "buffer", "attribute", "size", "amp"])
    def test_another_model_is_checked_anew(self, change, checks):
        model, settings = network(), SETTINGS
        old = key_of(model, (3, 32, 32), CPU)
        self.predict(model)
        if change == "weight":
            with torch.no_grad():
                next(model.parameters()).view(-1)[5] += 1e-6
        elif change == "buffer":
            next(model.buffers()).view(-1)[0] += 1e-6
        elif change == "attribute":
            model.factor = 2
        elif change == "size":
            settings = Preprocessing(input_size=(3, 33, 32), mean=(0.5,) * 3, std=(0.5,) * 3)
        shape = settings.input_size
        new = key_of(model, shape, CPU, **({"autocast": "bfloat16"} if change == "amp" else {}))
        assert new != old
        if change in ("weight", "buffer", "attribute"):
            self.predict(model)
            assert len(checks) == 2

    def test_another_version_or_machine_is_checked_anew(self, monkeypatch):
        model = network("resnet10t")
        keys = {key_of(model, (3, 32, 32), CPU)}
        from zoo.evaluation import remembered

        monkeypatch.setattr(remembered, "versions", lambda: {"torch": "9.9"})
        keys.add(key_of(model, (3, 32, 32), CPU))
        monkeypatch.setattr(remembered, "_processor", lambda: "another one")
        keys.add(key_of(model, (3, 32, 32), CPU))
        assert len(keys) == 3

    @pytest.mark.parametrize(
        "content", [b"", b"{", b"[1]", b'{"form": "magic"}', b"\xff\xfe", None]
    )
    def test_a_damaged_file_is_replaced(self, content, checks, cache):
        expected = self.predict(network())
        (file,) = cache.iterdir()
        whole = file.read_bytes()
        if content is None:  # sound JSON that names what is not there
            data = json.loads(whole)
            data["seen"]["pairs"] = [["no.such", "module"]]
            content = json.dumps(data).encode()
        file.write_bytes(content)
        again = self.predict(network())
        assert torch.equal(again[0], expected[0]) and again[1] == expected[1]
        assert len(checks) == 2 and file.read_bytes() == whole

    def test_a_cache_that_cannot_be_written(self, tmp_path, monkeypatch, checks):
        (tmp_path / "file").write_text("no folder")
        monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file"))
        results = [self.predict(network()) for _ in range(2)]
        assert len(checks) == 2 and torch.equal(results[0][0], results[1][0])

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
    def test_a_folder_that_is_read_only(self, tmp_path, monkeypatch, checks):
        (tmp_path / "cache").mkdir(mode=0o500)
        assert self.predict(network())[1] and self.predict(network())[1]
        assert len(checks) == 2

    def test_a_model_with_hooks_is_not_remembered(self, checks, cache):
        model = network()
        model.conv1.register_forward_hook(lambda module, inputs, output: output * 2)
        self.predict(model)
        assert not cache.exists()

    def test_the_newest_are_kept(self, cache):
        for number in range(MOST + 3):
            remember(f"{number:04}", Found(CHANNELS_LAST, 0, Seen()))
            os.utime(cache / f"{number:04}.json", (number, number))
        assert recall("0000") is None and recall(f"{MOST + 2:04}") is not None
        assert len(list(cache.iterdir())) == MOST


@pytest.fixture
def folder(tmp_path) -> Path:
    draw = np.random.default_rng(0)
    for number in range(9):
        place = tmp_path / "data" / str(2 * (number % 3))
        place.mkdir(parents=True, exist_ok=True)
        picture = draw.integers(0, 256, (40 + number, 50, 3), dtype=np.uint8)
        Image.fromarray(picture).save(place / f"{number}.png")
    return tmp_path / "data"


class TestAhead:
    def measured(self, folder: Path, **options):
        model, seen = network(), []
        model.pretrained_cfg = {**model.pretrained_cfg, "input_size": (3, 32, 32)}
        data = ImageFolder(folder)  # its classes 0, 1, 2 are called 0, 2 and 4, as the model's
        if "ahead" in options:
            options["ahead"] = options["ahead"](data, Preprocessing.of(model))
        result = evaluate(
            model, data, device="cpu", batch_size=4, workers=1, progress=False,
            sink=lambda indices, logits, labels: seen.append((indices, logits, labels)), **options,
        )  # fmt: skip
        return result, seen

    @pytest.mark.parametrize("fits", [True, False])
    def test_results_are_the_same(self, folder, fits, monkeypatch):
        batch_size, taken = 4 if fits else 3, []

        def begun(data, settings):
            made = Ahead(data, settings, share(len(data), batch_size), 1)
            take = made.take
            monkeypatch.setattr(made, "take", lambda *a: taken.append(take(*a)) or taken[-1])
            return made

        plain, rows = self.measured(folder)
        early, others = self.measured(folder, ahead=begun)
        assert (taken[0] is not None) == fits
        assert early.metrics == plain.metrics
        for (i, logits, labels), (j, other, numbers) in zip(rows, others, strict=True):
            assert i == j and torch.equal(logits, other) and torch.equal(labels, numbers)

    def test_labels_become_those_of_the_model(self, folder):
        _, rows = self.measured(folder)
        assert sorted({int(n) for _, _, labels in rows for n in labels}) == [0, 2, 4]

    def test_other_settings_or_data_are_not_taken(self, folder):
        data = ImageFolder(folder, num_classes=7)
        other = Preprocessing(input_size=(3, 24, 24), mean=(0.5,) * 3, std=(0.5,) * 3)
        shares = share(9, 4)
        assert Ahead(data, SETTINGS, shares, 0).take(data, other, shares) is None
        assert Ahead(data, SETTINGS, shares, 0).take(ImageFolder(folder), SETTINGS, shares) is None
        begun = Ahead(data, SETTINGS, shares, 0)
        assert begun.take(data, SETTINGS, shares) and begun.take(data, SETTINGS, shares) is None

    @pytest.mark.parametrize(
        "name", ["resnet50", "se_resnet50", "mobilenetv3_small_100", "cbam_resnet50", "ram_mnist"]
    )
    def test_settings_are_known_before_the_model(self, name):
        """The built model has the settings that the workers were started with."""
        import zoo

        expected = ahead_module._expected(name, {"crop_pct": 0.9}, False)
        assert expected == Preprocessing.of(zoo.create_model(name), crop_pct=0.9)

    def test_data_in_memory_and_wrong_arguments_start_nothing(self, folder):
        data = ImageFolder(folder, num_classes=7)
        assert start("resnet50", data, {}, workers=0) is None
        assert start("no_such_model", data, {}) is None
        assert start("resnet50", data, {}, batch_size=0) is None
        assert start("resnet50", data, {"mean": (1.0, 2.0)}) is None

    def test_zoo_eval_starts_workers_before_it_builds(self, folder, monkeypatch):
        order: list[str] = []
        monkeypatch.setattr(
            "zoo.evaluation.job.start", lambda *a, **k: order.append("workers") or start(*a, **k)
        )

        def build(self):
            order.append("model")
            return timm.create_model("mobilenetv3_small_100", num_classes=7).eval()

        monkeypatch.setattr(Job, "_build", build)
        taken = []
        take = Ahead.take
        monkeypatch.setattr(Ahead, "take", lambda *a: taken.append(take(*a)) or taken[-1])
        job = Job(model="mobilenetv3_small_100", data=str(folder))
        job.run(device="cpu", batch_size=5, workers=1, progress=False)
        assert order == ["workers", "model"] and taken[0] is not None
