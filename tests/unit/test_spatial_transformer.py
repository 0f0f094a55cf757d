"""The spatial transformer: its sampling, its two conventions, and the maps it takes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import zoo
from zoo.errors import OptionError, UsageError


@pytest.mark.parametrize(
    ("size", "align_corners"),
    [((28, 28), True), ((18, 31), False), ((7, 7), True), ((2, 3), True), ((1, 1), False)],
)
def test_it_starts_at_the_identity(size: tuple[int, int], align_corners: bool) -> None:
    module = zoo.create_attention(
        "spatial_transformer", 3, feat_size=size, align_corners=align_corners
    )
    x = torch.randn(2, 3, *size)
    torch.testing.assert_close(module(x), x, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("align_corners", "pixels"), [(True, 27 / 2), (False, 28 / 2)])
def test_a_translation_by_one_is_half_the_map(align_corners: bool, pixels: float) -> None:
    module: Any = zoo.create_attention(
        "spatial_transformer", 1, input_size=28, align_corners=align_corners, transform="attention"
    )
    torch.nn.init.constant_(module.fc_loc[-1].bias[1], 1.0)  # (scale, t_x, t_y) = (1, 1, 0)
    x = torch.arange(28.0).expand(1, 1, 28, 28)
    torch.testing.assert_close(module(x)[0, 0, :, 0], torch.full((28,), pixels))
    assert module.theta(x)[0].tolist() == [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]


def test_the_size_is_needed_and_checked() -> None:
    with pytest.raises(OptionError, match="needs feat_size"):
        zoo.create_attention("spatial_transformer", 3)
    with pytest.raises(OptionError, match="corners"):
        zoo.create_attention("spatial_transformer", 3, input_size=(1, 4), align_corners=True)
    with pytest.raises(OptionError, match="too small"):
        zoo.create_attention("spatial_transformer", 3, input_size=17, padding="valid")
    module = zoo.create_attention("spatial_transformer", 3, input_size=(28, 20))
    with pytest.raises(UsageError, match="28, 20"):
        module(torch.rand(1, 3, 20, 28))
