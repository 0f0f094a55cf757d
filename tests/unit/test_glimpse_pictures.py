"""Pictures of where a model looked, from an evaluation and alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_pictures import Noise, small
from torch import nn

from zoo.data.mnist import MNIST
from zoo.errors import UsageError
from zoo.evaluation.picture import save_glimpses
from zoo.explain.glimpses import GlimpsePath, draw
from zoo.explain.picture.canvas import CAPTION, GAP, SIDE


class Looker(nn.Module):
    """A classifier that says where it looked: the four corners and the centre."""

    num_classes, in_chans = 10, 1

    def __init__(self, scales: int = 1) -> None:
        super().__init__()
        self.head, self.scales = nn.Linear(28 * 28, 10), scales
        self.pretrained_cfg = {"input_size": (1, 28, 28), "mean": (0.5,), "std": (0.5,)}

    def forward(self, x):
        return self.head(x.flatten(1))

    def glimpses(self, x):
        corners = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1], [0, 0]])
        return GlimpsePath(
            locations=corners[:, None].expand(-1, len(x), -1),
            sides=[8 * 2**i for i in range(self.scales)],
        )


class TestPicture:
    @pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.pdf"])
    def test_it_is_written_in_the_format_of_its_name(self, tmp_path, name):
        save_glimpses(tmp_path / name, Looker(), MNIST(), count=2)
        head = {"p.png": b"\x89PNG", "p.jpg": b"\xff\xd8", "p.pdf": b"%PDF"}[name]
        assert (tmp_path / name).read_bytes().startswith(head)
        assert [path.name for path in tmp_path.iterdir()] == [name]

    @pytest.mark.parametrize("scale", [0, 1])
    def test_a_patch_is_what_is_at_its_place_at_every_scale(self, scale):
        """A white image whose lower right quarter is red, seen at its corners and centre."""
        pixels = np.full((1, 32, 32, 3), 255, np.uint8)
        pixels[:, 16:, 16:] = (255, 0, 0)
        path = Looker(scales=2).glimpses(torch.zeros(1, 1, 28, 28))
        assert path.sides == [8, 16]
        sheet = np.array(draw(pixels, path))
        tops = [GAP + SIDE + GAP + t * (SIDE // 2 + GAP) for t in range(5)]
        top = GAP + CAPTION + scale * (SIDE // 2 + GAP)
        patches = [sheet[top : top + SIDE // 2, x : x + SIDE // 2] for x in tops]
        red = [float((p == (255, 0, 0)).all(-1).mean()) for p in patches]
        black = [float((p == 0).all(-1).mean()) for p in patches]
        assert red == pytest.approx([0, 0, 0.25, 0, 0.25], abs=0.03)
        assert black == pytest.approx([0.75, 0.75, 0.75, 0.75, 0], abs=0.08)

    def test_other_models_have_none(self, tmp_path):
        with pytest.raises(UsageError, match="glimpses"):
            save_glimpses(tmp_path / "p.png", small(), Noise(2))
        assert not list(tmp_path.iterdir())
