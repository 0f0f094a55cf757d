"""`zoo viz`, the old name of `zoo explain`: what was drawn is what the model did."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import Tensor, nn

import zoo
from zoo import cli
from zoo.errors import DataError, UsageError
from zoo.explain.picture.figure import save
from zoo.runtime.model_record import ModelRecord


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photograph.png")
    return tmp_path / "photograph.png"


class Doubled(nn.Module):
    """A backbone with two places, where the map is doubled on its left, then kept as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.zoo = ModelRecord(name="doubled", sites=["wide", "narrow"])
        self.wide, self.narrow = Left(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.narrow(nn.functional.max_pool2d(self.wide(x), 2)).mean((2, 3))


class Left(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((2 * x[..., :2], x[..., 2:]), -1)


@pytest.mark.timeout(20)
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "0.png")
    with pytest.raises(DataError, match="not a regular file"):
        zoo.explain(zoo.create_model("ram_28"), tmp_path / "0.png")


def test_gains_are_the_ratio_of_the_norms() -> None:
    found = zoo.explain(Doubled(), torch.randn(3, 4, 4)).maps
    assert {path: each.raw.shape for path, each in found.items() if each.kind == "gain"} == {
        "wide": (1, 4, 4), "narrow": (1, 2, 2),
    }  # fmt: skip
    np.testing.assert_allclose(found["wide"].raw[0], np.tile([2.0, 2, 1, 1], (4, 1)), rtol=1e-6)
    np.testing.assert_allclose(found["narrow"].raw, np.ones((1, 2, 2)), rtol=1e-6)
    assert "identity start: changes nothing" in found["narrow"].notes
    assert found["narrow"].constant and not found["wide"].constant


@pytest.mark.parametrize("name", ["se_resnet10t", "cbam_convnext_atto", "cot_resnet18"])
def test_any_attention_in_a_backbone_is_drawn(name: str, photograph: Path) -> None:
    model = zoo.create_model(name, img_size=64)
    found = zoo.explain(model, photograph, size=64)
    kind = "strength" if name.startswith("cot") else "gain"
    there = {m.site for m in found.maps.values() if m.kind == kind}
    same = (s for s in model.zoo.sites if kind == "gain" or ".1." in s or "layer1" in s)
    assert there == set(same)  # those that keep the channels
    assert any(m.drawn for m in found.maps.values() if m.kind == kind)


def test_glimpses_are_drawn_one_after_the_other(photograph: Path, tmp_path: Path) -> None:
    found = zoo.explain(zoo.create_model("ram_28", num_glimpses=3, num_patches=2), photograph)
    save([found, found], tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 3
    save([found, found], tmp_path / "still.png")
    (_, _, patches, *_) = [axes for axes in found.figure().axes if axes.images]
    shown = patches.images[0].get_array()
    assert shown.shape[1] / shown.shape[0] == pytest.approx(3 / 2, rel=0.1)  # at two scales
    with pytest.raises(UsageError, match="make a film"):
        zoo.explain(zoo.create_model("stn_mnist"), photograph).save(tmp_path / "film.gif")


def test_what_a_transformer_samples_is_drawn(photograph: Path) -> None:
    model = zoo.create_model("stn_mnist")
    start = zoo.explain(model, photograph).resampled
    assert start.identity
    np.testing.assert_array_equal(start.image, zoo.explain(model, photograph).seen)
    with torch.no_grad():
        for parameter in model.transformer.localisation.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    moved = zoo.explain(model, photograph).resampled
    assert not moved.identity
    assert not np.allclose(start.outlines, moved.outlines, atol=1e-3)
    assert not np.array_equal(start.image, moved.image)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image can be read"):
        zoo.explain(zoo.create_model("ram_28"), tmp_path / "absent.png")


def test_the_command(photograph: Path, tmp_path: Path) -> None:
    out = tmp_path / "ram.gif"
    done = CliRunner().invoke(cli.cli, ["viz", "ram_mnist", str(photograph), "--out", str(out)])
    assert done.exit_code == 0 and out.stat().st_size > 1000
    wrong = CliRunner().invoke(
        cli.cli, ["viz", "ram_mnist", str(photograph), "--out", "picture.xyz"]
    )
    assert wrong.exit_code != 0
    assert "no picture format" in (wrong.output or str(wrong.exception))
