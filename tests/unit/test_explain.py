"""`zoo.explain`: maps against direct computations, honest pictures, and a model left as it was."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from torch import Tensor, nn
from torchvision.models import resnet18

import zoo
from zoo.cli import cli
from zoo.data.preprocessing import Preprocessing
from zoo.data.vocabulary import ModelClasses
from zoo.errors import IncompatibleBackboneError, UnknownNameError, UsageError
from zoo.explain.maps.rows import caught
from zoo.explain.naming import ClassNames
from zoo.explain.photograph import Frame
from zoo.explain.photograph import photograph as photographed
from zoo.explain.record import Explanation, Map

SIZE = 64


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def photograph(pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "photograph.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    return resnet18(num_classes=10).eval()


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def test_the_gain_beside_a_convolution_is_of_the_sum_over_what_the_convolution_gave() -> None:
    torch.manual_seed(0)
    model: Any = zoo.create_model("stand_alone_test_resnet", insertion="residual").eval()
    place = model.layer2[0].conv1
    nn.init.constant_(place.attn.alpha, 0.3)
    kept: list[Tensor] = []
    hook = place.register_forward_hook(
        lambda m, i, y: kept.extend((m._conv_forward(i[0], m.weight, None), y))
    )
    picture = torch.rand(1, 3, 96, 96)
    model(picture)
    hook.remove()
    alone, both = kept
    found = zoo.explain(model, picture, target=0).maps["layer2.0.conv1"].raw
    wanted = (both.norm(dim=1) / alone.norm(dim=1)).detach()
    assert (wanted - 1).abs().max() > 0.01
    np.testing.assert_allclose(found, wanted, rtol=1e-3)


def test_rows_of_attention_are_those_of_the_softmax(x: Tensor) -> None:
    torch.manual_seed(0)
    from timm.models.vision_transformer import VisionTransformer

    model: Any = VisionTransformer(
        img_size=SIZE, patch_size=16, embed_dim=24, depth=2, num_heads=3, num_classes=5
    ).eval()
    inputs: list[Tensor] = []
    hooks = [b.attn.register_forward_pre_hook(lambda _m, i: inputs.append(i[0]))
             for b in model.blocks]  # fmt: skip
    model(x)
    for hook in hooks:
        hook.remove()
    rows = []
    for block, tokens in zip(model.blocks, inputs, strict=True):
        q, k, _ = block.attn.qkv(tokens).unflatten(2, (3, 3, 8)).permute(2, 0, 3, 1, 4)
        rows.append((q @ k.mT * block.attn.scale).softmax(-1)[0].detach())
    found = zoo.explain(model, x).maps
    by_head = rows[1][:, 0, 1:].unflatten(1, (4, 4)) * 17  # times the uniform row
    np.testing.assert_allclose(found["blocks.1.attn"].raw[1:], by_head, rtol=1e-4)
    np.testing.assert_allclose(found["blocks.1.attn"].raw[0], by_head.mean(0), rtol=1e-4)
    unit = torch.eye(17)
    through = ((rows[1].mean(0) + unit) / 2) @ ((rows[0].mean(0) + unit) / 2)
    np.testing.assert_allclose(
        found["all 2 layers"].raw[0], through[0, 1:].unflatten(0, (4, 4)) * 17, rtol=1e-4
    )


class Small(nn.Module):
    """A network of somebody's own, of ten classes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer2 = nn.Sequential(nn.Conv2d(3, 16, 3, 4, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.layer3 = nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU())
        self.layer4 = nn.Sequential(nn.Conv2d(32, 32, 3, 2, 1), nn.ReLU())
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.layer4(self.layer3(self.layer2(x))).mean((2, 3)))


def test_gains_of_added_attention_are_the_ratio_that_hooks_measure(x: Tensor) -> None:
    torch.manual_seed(0)
    model = Small().eval()
    zoo.add_attention(model, "cbam", at=["layer2", "layer3"], insertion="plain", example=x)
    form: Any = model.get_submodule("layer3.cbam")
    kept: dict[str, Tensor] = {}
    hook = form.attn.register_forward_hook(lambda _m, i, y: kept.update(x=i[0], y=y))
    with torch.no_grad():
        model(x)
    hook.remove()
    found = zoo.explain(model, x).maps
    expected = kept["y"].norm(dim=1) / kept["x"].norm(dim=1)
    np.testing.assert_allclose(found["layer3.cbam"].raw, expected, rtol=1e-5)
    assert found["layer3.cbam"].scale.low == 0 and found["layer3.cbam"].scale.high == 2


def test_a_module_that_writes_to_its_input_changes_it(x: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.Conv2d(8, 5, 3)).eval()
    with torch.no_grad():
        before = model[0](x)
    expected = before.relu().norm(dim=1) / before.norm(dim=1)
    found = zoo.explain(model, x, sites="1").maps["1"]
    np.testing.assert_allclose(found.raw, expected, rtol=1e-5)
    assert not found.notes


class Last(nn.Module):
    """A block of maps (B, H, W, C)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.block, self.head = nn.Conv2d(3, 6, 8, 8), nn.Linear(6, 6), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.stem(x).permute(0, 2, 3, 1)).mean((1, 2)))


def test_the_gain_of_a_module_of_channels_last_maps_is_that_of_its_positions() -> None:
    model, x = Last().eval(), torch.rand(1, 3, 24, 32)
    with torch.no_grad():
        before = model.stem(x).permute(0, 2, 3, 1)
        expected = model.block(before).norm(dim=3) / before.norm(dim=3)
    found = zoo.explain(model, x, sites="block").maps["block"]
    np.testing.assert_allclose(found.raw, expected, rtol=1e-5)  # 3 x 4


def test_attention_before_the_class_token_joins_is_drawn(x: Tensor) -> None:
    model: Any = timm.create_model(
        "cait_xxs24_224", img_size=SIZE, depth=1, embed_dim=24, num_heads=3, num_classes=5
    )
    found = zoo.explain(model, x).maps["blocks.0.attn"]
    assert found.raw.shape == (4, 4, 4) and found.notes == ("mean of all rows",)


class Overwritten(nn.Module):
    """Softmax attention over 16 patches, whose matrix is halved in place once it is used."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.attn = nn.Conv2d(3, 8, 16, 16), Halving()

    def forward(self, x: Tensor) -> Tensor:
        return self.attn(self.stem(x).flatten(2).mT).mean(1)


class Halving(nn.Module):
    def forward(self, tokens: Tensor) -> Tensor:
        matrix = (tokens @ tokens.mT).softmax(-1)
        mixed = matrix @ tokens
        matrix.mul_(0.5)
        return mixed


def test_a_row_is_that_of_the_softmax_whatever_is_written_to_it(x: Tensor) -> None:
    model = Overwritten().eval()
    with torch.no_grad():
        tokens = model.stem(x).flatten(2).mT
        matrix = (tokens @ tokens.mT).softmax(-1)[0]
    with caught(model) as found, torch.no_grad():
        model(x)
    torch.testing.assert_close(found.matrices["attn"].first, matrix[:1])


class Windows(nn.Module):
    """Attention within two halves of the image: no row of it is of the whole image."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.attn = nn.Conv2d(3, 8, 16, 16), Halving()

    def forward(self, x: Tensor) -> Tensor:
        return self.attn(self.stem(x).flatten(2).mT.reshape(2, 8, 8)).mean((0, 1))[None]


def test_attention_that_has_no_map_is_not_said_to_be_none(x: Tensor) -> None:
    said = " ".join(zoo.explain(Windows(), x).remarks)
    assert "no softmax attention over the whole image" in said and "within windows" in said
    model: Any = timm.create_model(
        "test_vit", num_classes=5, dynamic_img_size=True, dynamic_img_pad=True
    )
    found = zoo.explain(model, torch.rand(3, 70, 100))  # five rows of seven, of which one is padded
    assert any("no grid over 70 x 100 pixels" in remark for remark in found.remarks)
    assert not any("no attention is drawn" in remark for remark in found.remarks)


def test_an_identity_start_is_said_to_be_one(x: Tensor) -> None:
    model = Small()
    zoo.add_attention(model, "cbam", at="layer3", example=x)  # exact
    zoo.add_attention(model, "triplet", at="layer2", insertion="residual", example=x)  # alpha = 0
    found = zoo.explain(model, x).maps
    for name in ("layer3.cbam", "layer2.triplet"):
        assert found[name].constant and found[name].range == pytest.approx((1, 1), abs=1e-4)
        assert "identity start: changes nothing" in found[name].notes
    assert "alpha 0" in found["layer2.triplet"].notes
    model.get_submodule("layer2.triplet").alpha.data.fill_(0.5)
    changed = zoo.explain(model, x).maps["layer2.triplet"]
    assert "alpha 0.5" in changed.notes and not changed.constant


def test_a_channel_gate_is_said_to_be_one(x: Tensor) -> None:
    model = Small()
    zoo.add_attention(model, "se", at="layer3", insertion="plain", example=x)
    (note,) = [n for n in zoo.explain(model, x).maps["layer3.se"].notes if "gates channels" in n]
    assert "everywhere alike" in note


def drawn(values: np.ndarray, kind: str = "gain") -> np.ndarray:
    """The pixels of the lower panel of a map, as the picture shows them."""
    raw = values[None].astype(np.float32)
    frame = Frame(size=(8, 8), width=8, height=8)
    each = Map(site="place", kind=kind, raw=raw, planes=("map",), frame=frame)
    grey = np.full((8, 8, 3), 128, np.uint8)
    whole = Explanation(photograph=grey, seen=grey, frame=frame, maps={"place": each})
    figure = whole.figure()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    axes = next(a for a in figure.axes if a.images and a.images[0].get_array().shape == (8, 8))
    box = axes.get_window_extent().extents.astype(int)
    picture = np.asarray(canvas.buffer_rgba())[::-1]
    return picture[box[1] + 4 : box[3] - 4, box[0] + 4 : box[2] - 4, :3].reshape(-1, 3)


def test_a_constant_gain_is_drawn_in_one_colour_and_a_gain_in_several() -> None:
    nearly = np.linspace(0.2499, 0.2502, 64).reshape(8, 8)
    assert len(np.unique(drawn(nearly), axis=0)) == 1
    half = drawn(np.full((8, 8), 0.5))
    assert len(np.unique(half, axis=0)) == 1 and (half[0] != drawn(nearly)[0]).any()
    assert len(np.unique(drawn(np.linspace(0.2, 1.8, 64).reshape(8, 8)), axis=0)) > 20
    frame = Frame(size=(8, 8), width=8, height=8)
    said = Map(site="p", kind="gain", raw=nearly[None], planes=("m",), frame=frame).said()
    assert said == "constant 0.2499 to 0.2502"


def test_the_model_is_left_as_it_was(x: Tensor) -> None:
    model = Small()
    zoo.add_attention(model, "cbam", at="layer3", example=x)
    model.train()
    model.layer2.eval()  # as a frozen part is
    for parameter in model.layer2.parameters():
        parameter.requires_grad_(False)
    model.fc.weight.grad = torch.ones_like(model.fc.weight)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = [(m.training, dict(vars(m)["_forward_hooks"])) for m in model.modules()]
    random = torch.get_rng_state()
    for inside in (torch.enable_grad, torch.inference_mode):
        with inside():
            found = zoo.explain(model, x)
    assert "layer4" in found.maps and found.maps["layer4"].raw.any()
    after = model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)
    assert state == [(m.training, dict(vars(m)["_forward_hooks"])) for m in model.modules()]
    assert not any(vars(m)["_forward_pre_hooks"] for m in model.modules())
    assert all((p.grad is None) == (p is not model.fc.weight) for p in model.parameters())
    assert bool((model.fc.weight.grad == 1).all()) and torch.equal(random, torch.get_rng_state())
    assert all(isinstance(each.raw, np.ndarray) for each in found.maps.values())


def test_a_compiled_or_wrapped_model_is_explained_by_the_one_inside(x: Tensor) -> None:
    model = Small().eval()
    expected = zoo.explain(model, x).maps["layer4"].raw
    for wrapped in (torch.compile(model), nn.DataParallel(model)):
        np.testing.assert_array_equal(zoo.explain(wrapped, x).maps["layer4"].raw, expected)
    model.compile()
    with pytest.raises(IncompatibleBackboneError, match="compiled"):
        zoo.explain(model, x)
    with pytest.raises(UsageError, match="no torch.nn.Module"):
        zoo.explain("resnet18", x)


def test_a_map_lies_where_the_model_saw_it(resnet: nn.Module, pixels: np.ndarray) -> None:
    """90 x 120 pixels become 73 x 97, of which the middle 64 x 64 are seen."""
    found = zoo.explain(resnet, pixels, size=SIZE)
    frame = found.frame
    np.testing.assert_allclose(
        [frame.left, frame.top, frame.width, frame.height], [20.4, 5, 79.2, 79], atol=1.3
    )
    cut = Image.fromarray(pixels).crop(
        (round(frame.left), round(frame.top), round(frame.left + frame.width),
         round(frame.top + frame.height))
    )  # fmt: skip
    again = np.asarray(cut.resize((SIZE, SIZE), Image.Resampling.BICUBIC), np.float32)
    assert np.corrcoef(again.ravel(), found.seen.astype(np.float32).ravel())[0, 1] > 0.75
    values = found.maps["layer4"].values
    assert values.shape == (90, 120) and np.isnan(values[:, :19]).all()
    inside = values[6:83, 22:98]
    grown = F.interpolate(torch.from_numpy(found.maps["layer4"].raw)[None], (79, 79),
                          mode="bilinear")[0, 0].numpy()  # fmt: skip
    np.testing.assert_allclose(inside, grown[1:78, 2:78], atol=0.05 * grown.max())


@pytest.mark.parametrize(
    ("size", "crop_mode", "crop_pct"),
    [((90, 140), "border", 1.0), ((65, 64), "border", 1.0), ((140, 61), "border", 0.8),
     ((33, 90), "border", 0.8), ((65, 64), "center", 1.37), ((90, 140), "center", 1.0)],
)  # fmt: skip
@pytest.mark.parametrize("rows", [63, 64])
def test_what_is_padded_is_outside_of_the_photograph(
    size: tuple[int, int], crop_mode: str, crop_pct: float, rows: int
) -> None:
    settings = Preprocessing(
        input_size=(3, rows, 65), mean=(0,) * 3, std=(1,) * 3, crop_mode=crop_mode,
        crop_pct=crop_pct, interpolation="nearest",
    )  # fmt: skip
    taken = photographed(np.full((*size, 3), 255, np.uint8), settings)
    frame, there = taken.frame, np.argwhere(taken.seen[..., 0] > 0).min(0)
    padded = (-frame.top / frame.height * rows, -frame.left / frame.width * 65)
    np.testing.assert_allclose(there, np.maximum(0, padded), atol=1e-6)


def test_what_the_mask_takes_out_is_what_gain_takes_out(x: Tensor) -> None:
    torch.manual_seed(0)  # with a map that is not zero
    model: Any = zoo.create_model("gain_resnet18", num_classes=10).eval()
    with torch.no_grad():
        guided = model.attend(x)
    found = zoo.explain(model, x).maps["layer4 (taken out)"]
    np.testing.assert_allclose(found.raw, guided.soft_mask[0].detach(), rtol=1e-3, atol=1e-5)
    share = 100 * guided.logits_masked.softmax(1)[0, guided.logits.argmax()]
    assert f"without it {float(share):.1f}%" in found.notes[0]


class Segmenter(nn.Module):
    """Six planes, then a class for each position."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Sequential(nn.Conv2d(1, 6, 3, 4, 1), nn.ReLU()))
        self.head = nn.Conv2d(6, 3, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": F.interpolate(self.head(self.encoder(x)), x.shape[2:], mode="bilinear")}


def test_a_segmentation_is_explained_over_the_positions_of_the_class(photograph: Path) -> None:
    model = Segmenter()
    found = zoo.explain(model, photograph, size=SIZE, mean=(0.5,), std=(0.5,))
    assert found.seen.shape == (SIZE, SIZE, 1)  # grey, as the first convolution takes it
    x = (torch.from_numpy(found.seen).permute(2, 0, 1)[None] / 255 - 0.5) / 0.5
    features = model.encoder(x)
    logits = F.interpolate(model.head(features), x.shape[2:], mode="bilinear")[0]
    target = int(torch.bincount(logits.argmax(0).flatten()).argmax())
    (gradient,) = torch.autograd.grad(logits[target][logits.argmax(0) == target].sum(), features)
    expected = torch.relu((gradient.mean((2, 3), keepdim=True) * features).sum(1)).detach()
    (cam,) = [each for each in found.maps.values() if each.kind == "cam"]
    np.testing.assert_allclose(cam.raw, expected, rtol=1e-3, atol=1e-4)
    assert found.target.index == target
    assert any("no preprocessing" in r for r in found.remarks)


def test_classes_have_names(photograph: Path) -> None:
    model: Any = zoo.create_model("resnet10t")
    found = zoo.explain(model, photograph, size=SIZE, target="tabby cat")
    assert found.target.name == "tabby" and found.target.index == 281
    assert any("random weights" in r for r in found.remarks)
    assert any("no attention is drawn" in r for r in found.remarks)
    with pytest.raises(UnknownNameError, match="'tabby"):
        zoo.explain(model, photograph, size=SIZE, target="taby")
    model.pretrained_cfg = {**model.pretrained_cfg, "num_classes": 1000,
                            "label_names": [f"sort {i}" for i in range(1000)]}  # fmt: skip
    own = zoo.explain(model, photograph, size=SIZE, target="sort 7")
    assert own.target.index == 7 and own.predictions[0].name.startswith("sort ")


def test_a_number_that_is_a_name_is_the_name() -> None:
    """As of a folder with the classes 10, 2 and 3, in the order of their letters."""
    names = ClassNames(ModelClasses(3, {0: "10", 1: "2", 2: "3"}))
    assert [names.index("2"), names.index("10"), names.index(2), names.index("0")] == [1, 0, 2, 0]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"target": 10}, "classes 0 to 9"),
        ({"target": "tabby"}, "does not name its classes"),
        ({"target": 1.5}, "neither"),
        ({"at": "layer5"}, "'layer4'"),
        ({"sites": "layer3.cbm"}, "layer3.cbam"),
    ],
)
def test_what_does_not_exist_is_said(options: dict[str, Any], word: str, x: Tensor) -> None:
    model = Small()
    zoo.add_attention(model, "cbam", at="layer3", example=x)
    with pytest.raises(UsageError, match=word):
        zoo.explain(model, x, **options)
    assert not any(vars(m)["_forward_hooks"] for m in model.modules()) and model.training


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"size": (64,)}, "rows, columns"),
        ({"size": 0}, "size=0"),
        ({"size": "64"}, "size='64'"),
        ({"crop": 0.5}, "no setting 'crop'"),
        ({"size": 96}, r"fails on an image \(3, 96, 96\)"),
    ],
)
def test_settings_that_cannot_be_are_said(
    options: dict[str, Any], word: str, photograph: Path
) -> None:
    with pytest.raises(UsageError, match=word):
        zoo.explain(timm.create_model("test_vit", dynamic_img_size=False), photograph, **options)


@pytest.mark.parametrize("options", [{"size": 32}, {"crop_pct": 0.5}, {"interpolation": "box"}])
def test_a_setting_of_photographs_is_not_taken_for_a_tensor(
    options: dict[str, Any], x: Tensor
) -> None:
    with pytest.raises(UsageError, match="says nothing of a tensor"):
        zoo.explain(Small(), x, **options)


@pytest.mark.parametrize("output", ["", "photograph.png", "../there/photograph.png"])
def test_a_photograph_is_not_overwritten(
    output: str, photograph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / "photograph.png").write_bytes(photograph.read_bytes())
    monkeypatch.chdir(folder)
    monkeypatch.setattr("zoo.cli.explain._model", lambda *_, **__: pytest.fail("it was built"))
    call = ["explain", "resnet10t", "photograph.png", "--output", output or f"{folder}/"]
    with pytest.raises(UsageError, match="would be overwritten"):
        CliRunner().invoke(cli, call, catch_exceptions=False)
    with pytest.raises(UsageError, match="would be overwritten"):
        found = zoo.explain(nn.Conv2d(3, 2, 3), "photograph.png", size=SIZE)
        found.save(output or folder / "photograph.png")
    assert (folder / "photograph.png").read_bytes() == photograph.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["own:model", "--weights", "x"], "--weights says nothing of own:model"),
        (["own:model", "--num-classes", "5"], "--num-classes says nothing"),
        (["own:model", "--pretrained"], "--pretrained says nothing"),
        (["own:model", "--untrained"], "--untrained says nothing"),
        (["se_resnet10t", "--untrained", "--weights", "x"], "--weights exclude each other"),
        (["x.safetensors", "--untrained"], "has weights of its own"),
    ],
)
def test_options_that_would_be_lost_are_refused(
    arguments: list[str], word: str, photograph: Path
) -> None:
    model, *options = arguments
    with pytest.raises(UsageError, match=word):
        CliRunner().invoke(
            cli, ["explain", model, str(photograph), *options], catch_exceptions=False
        )


def test_the_command_writes_a_picture_and_json(
    photograph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*arguments: object) -> Any:
        done = CliRunner().invoke(cli, ["explain", *map(str, arguments)])
        assert done.exit_code == 0, (done.output, done.exception)
        return done

    done = run("resnet10t", photograph, "--untrained", "--size", SIZE, "--json",
               "--output", tmp_path / "x.svg", "--target", "281")  # fmt: skip
    said = json.loads(done.stdout)
    assert said["untrained"] and said["images"][0]["target"]["name"] == "tabby"
    assert said["images"][0]["maps"][0]["kind"] == "cam"
    assert "<svg" in (tmp_path / "x.svg").read_text()
    folder = tmp_path / "run"
    model = zoo.create_model("se_resnet10t", num_classes=3)
    zoo.save_model(model, folder / "model.safetensors")
    done = run(folder, photograph, photograph, "--size", SIZE, "--output", f"{tmp_path / 'out'}/")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "0_photograph.png", "1_photograph.png",
    ]  # fmt: skip
    assert "class" in done.output
    monkeypatch.chdir(folder)
    assert run(".", photograph, "--size", SIZE).output.endswith("run.png\n")


def test_without_matplotlib_there_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    found = zoo.explain(nn.Identity(), torch.rand(3, 8, 8))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"attention-zoo\[viz\]"):
        found.save("x.png")


def test_the_page_runs() -> None:
    """What docs/explain.md shows, but for the picture, which another test draws."""
    page = (Path(__file__).parents[2] / "docs" / "explain.md").read_text("utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(block.replace("found.save(", "repr("), "docs/explain.md", "exec"), names)
    assert names["found"].maps["layer4.cbam"].constant
    assert names["found"].maps["layer4"].values.shape == (300, 400)
