"""`zoo viz`: masks lie where they attend, coarse before fine; what cannot be drawn is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from zoo.cli import cli
from zoo.errors import DataError, OptionError, UsageError
from zoo.explain.maps import GAP, SIDE, draw

NETWORK = "residual_attention_56_cifar"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    path = tmp_path / "image.png"
    Image.fromarray(pixels).save(path)
    return path


def viz(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["viz", *map(str, arguments)])


def redness(picture: Image.Image, column: int) -> tuple[float, float]:
    """Red minus blue of the left and the right half of a column's first cell."""
    left = GAP + column * (SIDE + GAP)
    cell = np.asarray(picture.crop((left, GAP, left + SIDE, GAP + SIDE)), np.float64)
    halves = cell[:, : SIDE // 2], cell[:, SIDE // 2 :]
    one, other = (float((half[..., 0] - half[..., 2]).mean()) for half in halves)
    return one, other


def test_a_mask_is_drawn_where_it_attends_and_coarse_ones_come_first() -> None:
    grey = np.full((1, 32, 32, 3), 128, np.uint8)
    fine, coarse = torch.zeros(1, 4, 16, 16), torch.zeros(1, 1, 4, 4)
    fine[..., :8] = 1  # the left half
    coarse[..., 2:] = 1  # the right half
    picture = draw(grey, {"fine": fine, "coarse": coarse})
    left, right = redness(picture, 1)
    assert right - left > 100
    left, right = redness(picture, 2)
    assert left - right > 100
    assert redness(picture, 0) == (0, 0)


def test_the_channels_that_vary_most_are_drawn() -> None:
    grey = np.full((2, 8, 8, 3), 128, np.uint8)
    masks = torch.rand(2, 6, 4, 4)
    sizes = [draw(grey, {"m": masks}, channels=n).size[1] for n in (0, 1, 3, 99)]
    assert sizes[0] < sizes[1] < sizes[2] < sizes[3]
    assert sizes[3] == draw(grey, {"m": masks}, channels=5).size[1]


def test_masks_of_other_images_are_refused() -> None:
    with pytest.raises(OptionError, match="2 images"):
        draw(np.zeros((2, 8, 8, 3), np.uint8), {"m": torch.rand(1, 1, 4, 4)})
    with pytest.raises(OptionError, match="no masks"):
        draw(np.zeros((2, 8, 8, 3), np.uint8), {})


def test_the_command_draws_every_module_of_a_network(image: Path, tmp_path: Path) -> None:
    out = tmp_path / "masks.png"
    done = viz(NETWORK, image, image, "--untrained", "--out", out, "--channels", 1, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["untrained"] is True
    with Image.open(out) as picture:
        assert picture.size[0] == GAP + 4 * (SIDE + GAP)  # the image and three modules


def test_random_weights_are_said(image: Path, tmp_path: Path) -> None:
    done = viz("residual_attention_128_cifar", image, "--out", tmp_path / "masks.jpg")
    assert done.exit_code == 0 and "random weights" in done.stderr


def test_a_glimpse_model_shows_its_glimpses(image: Path, tmp_path: Path) -> None:
    done = viz("ram_mnist", image, "--out", tmp_path / "glimpses.png")
    assert done.exit_code == 0 and "random" not in done.stderr
    assert (tmp_path / "glimpses.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "error", "word"),
    [
        (("resnet10t", "{image}", "--untrained", "--out", "{folder}/x.png"), UsageError, "shows"),
        ((NETWORK, "{folder}/absent.png", "--untrained", "--out", "{folder}/x.png"), DataError,
         "absent"),
        ((NETWORK, "{image}", "--untrained", "--out", "{folder}/x.txt"), UsageError, "picture"),
        ((NETWORK, __file__, "--untrained", "--out", "{folder}/x.png"), DataError, "image"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_said(
    arguments: tuple[str, ...], error: type[Exception], word: str, image: Path, tmp_path: Path
) -> None:
    done = viz(*(a.format(image=image, folder=tmp_path) for a in arguments))
    assert isinstance(done.exception, error) and word in str(done.exception)
    assert not list(tmp_path.glob("x.*"))
