"""Dropout, reverse and mirror attention, against what their equations say."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import zoo
from zoo.errors import OptionError, UsageError


def test_adl_is_the_identity_in_eval_and_draws_once_a_batch() -> None:
    torch.manual_seed(0)
    layer = zoo.create_attention("adl", 4, drop_rate=0.5)
    x = torch.rand(8, 4, 5, 5) + 0.1
    assert torch.equal(layer.eval()(x), x)
    layer.train()
    gates = torch.stack([(layer(x) / x)[:, 0] for _ in range(40)])
    dropped = ((gates == 0) | (gates == 1)).flatten(1).all(1)
    importance = torch.sigmoid(x.mean(1)).expand_as(gates)
    torch.testing.assert_close(gates[~dropped], importance[~dropped])
    assert 5 < int(dropped.sum()) < 35


def test_adl_drops_the_peak_and_keeps_what_is_below_half_of_it() -> None:
    layer: Any = zoo.create_attention("adl", 2, drop_rate=1.0, gamma=0.5).train()
    x = torch.tensor([0.0, 1.0, 1.9, 2.0, 3.9, 4.0]).expand(1, 2, 1, 6)
    kept = [0.0, 1.0, 1.9, 0.0, 0.0, 0.0]
    assert layer(x)[0, 0, 0].tolist() == pytest.approx(kept)


def test_adl_forms_of_one_option_must_agree() -> None:
    layer: Any = zoo.create_attention("adl", keep_prob=0.7, drop_rate=0.3)
    assert layer.drop_rate == 0.3
    with pytest.raises(OptionError, match="contradict"):
        zoo.create_attention("adl", keep_prob=0.7, drop_rate=0.7)


@pytest.mark.parametrize(
    ("variant", "expected"),
    [("paper", 1 / (1 + math.exp(-(1 / 0.625 - 4)))), ("sigmoid", 1 / (1 + math.exp(0.5)))],
)
def test_reverse_segmentation(variant: str, expected: float) -> None:
    module = zoo.create_attention("reverse_segmentation", 1, variant=variant)
    masked = module(torch.full((1, 1, 1, 1), 0.5), torch.full((1, 1, 1, 1), 2.0))
    assert masked.item() == pytest.approx(2 * expected)


def test_reverse_saliency_refuses_a_prediction_of_another_size() -> None:
    module = zoo.create_attention("reverse_saliency", 4, hidden_channels=2)
    with pytest.raises(UsageError, match="coarse"):
        module(torch.rand(1, 4, 6, 6), torch.rand(1, 1, 3, 3))


@pytest.mark.parametrize(
    ("line", "flipped"),
    [
        ((0.0, -1.0, 0.0, 1.0), (3,)),  # the vertical middle: left and right change places
        ((0.0, 0.5, 0.0, 0.5), (3,)),  # two points that are one count as vertical
        ((-1.0, 0.0, 1.0, 0.0), (2,)),  # the horizontal middle
    ],
)
def test_mirror_at_a_middle_line_is_a_flip(line: tuple[float, ...], flipped: tuple[int]) -> None:
    from zoo_plugins.mechanisms.arithmetic.mirror import mirror_grid

    module: Any = zoo.create_attention("mirror", 3)
    x = torch.rand(1, 3, 5, 8)
    found = module.flip(x, mirror_grid(x, torch.tensor([line])))
    torch.testing.assert_close(found, x.flip(flipped))


def test_mirror_at_the_diagonal_transposes() -> None:
    from zoo_plugins.mechanisms.arithmetic.mirror import mirror_grid

    module: Any = zoo.create_attention("mirror", 2)
    x = torch.rand(1, 2, 6, 6)
    found = module.flip(x, mirror_grid(x, torch.tensor([[-1.0, -1.0, 1.0, 1.0]])))
    torch.testing.assert_close(found, x.transpose(2, 3), atol=1e-5, rtol=1e-5)


def test_region_pooling_means_each_side_of_a_vertical_line() -> None:
    module: Any = zoo.create_attention(
        "mirror", 1, region_pooling=True, image_size=(64, 80), stride=8, residual=False
    )
    for parameter in module.parameters():
        torch.nn.init.zeros_(parameter)  # the attention is 1/2 everywhere
    x = torch.arange(10.0).expand(1, 1, 8, 10)
    line = torch.tensor([[79 * 4 / 9, 0.0, 79 * 4 / 9, 63.0]])  # column 4 of the map
    near, sides = module.regions(x, line)
    assert sides[0, 0, 0].nonzero().flatten().tolist() == [1, 2, 3]
    assert sides[0, 1, 0].nonzero().flatten().tolist() == [5, 6]
    pooled = module(x, line).flatten()
    for side, mean in zip(sides[0], pooled, strict=True):
        expected = (x[0, 0] * near[0, 0] / 2)[side == 1].mean()
        assert mean.item() == pytest.approx(expected.item(), rel=1e-5)
