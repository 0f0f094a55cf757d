"""Pictures: what was drawn is what the model did, and files are written whole."""

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
from zoo.explain import sites
from zoo.explain.canvas import save
from zoo.explain.show import show
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
        show(zoo.create_model("se_resnet18"), [tmp_path / "0.png"])


def test_gains_are_the_ratio_of_the_norms() -> None:
    found = sites.gains(Doubled(), torch.randn(2, 3, 4, 4))
    assert {path: tuple(gain.shape) for path, gain in found.items()} == {
        "wide": (2, 1, 4, 4), "narrow": (2, 1, 2, 2),
    }  # fmt: skip
    expected = torch.tensor([2.0, 2, 1, 1]).expand(2, 1, 4, 4)
    torch.testing.assert_close(found["wide"], expected)
    torch.testing.assert_close(found["narrow"], torch.ones(2, 1, 2, 2))


@pytest.mark.parametrize("name", ["se_resnet18", "cbam_convnext_atto", "cot_resnet18"])
def test_any_attention_in_a_backbone_is_drawn(name: str, photograph: Path) -> None:
    model = zoo.create_model(name, img_size=64)
    (picture,) = show(model, [photograph], size=64)
    assert len(np.unique(np.asarray(picture))) > 100


def test_glimpses_are_drawn_one_after_the_other(photograph: Path, tmp_path: Path) -> None:
    frames = show(zoo.create_model("ram_28", num_glimpses=3), [photograph, photograph])
    assert len(frames) == 3
    save(frames, tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 3
    save(frames, tmp_path / "last.png")
    with Image.open(tmp_path / "last.png") as still:
        assert np.array_equal(np.asarray(still.convert("RGB")), np.asarray(frames[-1]))


def test_what_a_transformer_samples_is_drawn(photograph: Path) -> None:
    model = zoo.create_model("stn_mnist")
    (start,) = show(model, [photograph])
    with torch.no_grad():
        for parameter in model.transformer.localisation.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    (moved,) = show(model, [photograph])
    assert np.asarray(start).shape == np.asarray(moved).shape
    assert not np.array_equal(np.asarray(start), np.asarray(moved))


def test_what_cannot_be_drawn(photograph: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="shows nothing"):
        show(zoo.create_model("resnet18"), [photograph])
    with pytest.raises(DataError, match="no image can be read"):
        show(zoo.create_model("ram_28"), [tmp_path / "absent.png"])


def test_the_command(photograph: Path, tmp_path: Path) -> None:
    out = tmp_path / "ram.gif"
    done = CliRunner().invoke(cli.cli, ["viz", "ram_mnist", str(photograph), "--out", str(out)])
    assert done.exit_code == 0 and out.stat().st_size > 1000
    wrong = CliRunner().invoke(
        cli.cli, ["viz", "ram_mnist", str(photograph), "--out", "picture.xyz"]
    )
    assert wrong.exit_code != 0
    assert "no picture format" in (wrong.output or str(wrong.exception))
