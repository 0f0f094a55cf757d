"""`zoo viz`: masks lie where they attend, coarse before fine; what cannot be drawn is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from torch import Tensor, nn

import zoo
from zoo.cli import cli
from zoo.errors import DataError, PluginError, UsageError

pytestmark = pytest.mark.long

NETWORK = "residual_attention_56_cifar"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    path = tmp_path / "image.png"
    Image.fromarray(pixels).save(path)
    return path


def viz(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["viz", *map(str, arguments)])


class Masks(nn.Module):
    """A model that gives the masks it was told to give."""

    def __init__(self, **masks: Tensor) -> None:
        super().__init__()
        self.masks = masks

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))

    def attention_maps(self, _images: Tensor) -> dict[str, Tensor]:
        return self.masks


def test_a_mask_lies_where_it_attends_and_coarse_ones_come_first() -> None:
    fine, coarse = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 4, 4)
    fine[..., :8] = 1  # the left half
    coarse[..., 2:] = 1  # the right half
    grey = np.full((32, 48, 3), 128, np.uint8)
    found = zoo.explain(Masks(fine=fine, coarse=coarse), grey, size=32, crop_pct=1.0).maps
    own = {name: each for name, each in found.items() if each.kind == "own"}
    assert list(own) == ["coarse", "fine"]
    values = own["fine"].values
    assert values.shape == (32, 48) and np.isnan(values[:, :8]).all()  # beyond the crop
    assert (values[:, 8:22] == 1).all() and (values[:, 26:40] == 0).all()
    assert (own["coarse"].values[:, 32:40] == 1).all()


def test_the_channels_that_vary_most_are_drawn() -> None:
    masks, image = torch.rand(1, 20, 4, 4), torch.rand(3, 8, 8)
    masks[:, 7] *= 4
    counts = [zoo.explain(Masks(m=masks), image, channels=n).maps["m"] for n in (0, 1, 3)]
    assert [each.drawn for each in counts] == [1, 2, 4]
    np.testing.assert_allclose(counts[2].raw[0], masks[0].mean(0), rtol=1e-5)
    assert counts[2].planes[:2] == ("mean of 20 planes", "plane 7")


def test_masks_of_no_form_are_refused() -> None:
    with pytest.raises(PluginError, match="gives no"):
        zoo.explain(Masks(m=torch.rand(2, 1, 4, 4)), torch.rand(3, 8, 8))


def test_the_command_draws_every_module_of_a_network(image: Path, tmp_path: Path) -> None:
    out = tmp_path / "masks.png"
    done = viz(NETWORK, image, image, "--untrained", "--out", out, "--channels", 0, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["untrained"] is True
    said = json.loads(done.stdout)
    own = [each["site"] for each in said["images"][1]["maps"] if each["kind"] == "own"]
    assert own == ["stage 3, module 1", "stage 2, module 1", "stage 1, module 1"]
    with Image.open(out) as picture:
        assert list(picture.size) == said["size"] and picture.size[1] > picture.size[0] / 2


def test_random_weights_are_said(image: Path, tmp_path: Path) -> None:
    done = viz("residual_attention_128_cifar", image, "--channels", 0, "--out", tmp_path / "m.jpg")
    assert done.exit_code == 0 and "random weights" in done.stderr


def test_a_glimpse_model_shows_its_glimpses(image: Path, tmp_path: Path) -> None:
    done = viz("ram_mnist", image, "--out", tmp_path / "glimpses.png")
    assert done.exit_code == 0 and "random" not in done.stderr
    assert (tmp_path / "glimpses.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "error", "word"),
    [
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
