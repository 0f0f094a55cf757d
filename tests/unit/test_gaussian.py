"""Gaussian attention of a map: where it looks, and how far."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

import zoo
from zoo.errors import OptionError

SIZE = (5, 9)


def build(**options: Any) -> Any:
    torch.manual_seed(0)
    options = {"feat_size": SIZE, **options}
    return zoo.create_attention("gaussian", 6, dtype=torch.float64, **options)


def theta(*numbers: float) -> Tensor:
    return torch.tensor([[numbers]], dtype=torch.float64)


def points() -> Tensor:
    """The map's positions, (H, W, 2), rows first, in [0, 1]."""
    sides = (torch.linspace(0, 1, n, dtype=torch.float64) for n in SIZE)
    return torch.stack(torch.meshgrid(*sides, indexing="ij"), 2)


def test_it_looks_where_the_parameters_say() -> None:
    found = build().gaussian(theta(0.25, 0.75, 0.4))[0, 0]
    assert found.argmax() == 1 * SIZE[1] + 6
    assert found[1, 6] == 1
    distance = (points() - torch.tensor([0.25, 0.75])).square().sum(2)
    torch.testing.assert_close(found, torch.exp(-distance / (2 * 0.05 * 0.4 + 1e-5)))
    wide = build().gaussian(theta(0.25, 0.75, 0.9))[0, 0]
    assert (wide >= found).all() and (wide > found).sum() == found.numel() - 1


def test_the_authors_width_is_their_second_coordinate() -> None:
    code, paper = build(theta="code"), build()
    found = code.gaussian(theta(0.3, 0.123, 0.6))
    torch.testing.assert_close(found, code.gaussian(theta(0.3, 0.987, 0.6)))
    torch.testing.assert_close(found, paper.gaussian(theta(0.3, 0.6, 0.6)))


@pytest.mark.parametrize("r", [-0.45, 0.0, 0.3])
def test_a_correlated_gaussian_has_the_full_covariance(r: float) -> None:
    """Its logarithm is that of a normal density, but for the constant."""
    module = build(correlated=True, eps=1e-12)
    found = module.gaussian(theta(0.4, 0.6, 0.9, 0.5), theta(r))[0, 0]
    spread = torch.tensor([[0.9**2, r * 0.9 * 0.5], [r * 0.9 * 0.5, 0.5**2]]) * 0.05
    centre = torch.tensor([0.4, 0.6], dtype=torch.float64)
    normal = MultivariateNormal(centre, spread.double())
    expected = normal.log_prob(points()) - normal.log_prob(centre)
    torch.testing.assert_close(found.log(), expected, rtol=1e-6, atol=1e-6)


def test_the_head_sums_what_forward_gives() -> None:
    module = build(feature_dim=4, num_clusters=3, num_maps=2, correlated=True).eval()
    x = torch.randn(2, 6, *SIZE, generator=torch.Generator().manual_seed(1)).double()
    found = module.cluster(x)
    torch.testing.assert_close(found.feature_att, module(x).sum((2, 3)))
    torch.testing.assert_close(found.feature_ori, module.feature_conv(x).mean((2, 3)))
    torch.testing.assert_close(found.prob_att.sum(1), torch.ones(2, dtype=torch.float64))
    assert found.attention.max() <= 2 and found.attention.min() > 0


def test_the_size_of_the_map_is_needed_and_kept() -> None:
    with pytest.raises(OptionError, match="feat_size=None is not"):
        build(feat_size=None)
    with pytest.raises(OptionError, match="contradict"):
        build(height=5, width=8)
    with pytest.raises(OptionError, match="without width"):
        build(height=5)
    assert build(feat_size=None, height=5, width=9).size == SIZE
    with pytest.raises(OptionError, match=r"feat_size=\(4, 9\)"):
        build()(torch.zeros(1, 6, 4, 9).double())
