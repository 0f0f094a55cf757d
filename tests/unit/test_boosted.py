"""Boosted attention, of which no code is published, against what its equation determines."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import zoo
from zoo.errors import OptionError


def test_the_equation() -> None:
    module: Any = zoo.create_attention("boosted", 3, eps=0.5)
    x = torch.rand(2, 3, 4, 4)
    with torch.no_grad():
        module.W_sal.weight.abs_()
    saliency = (x * module.W_sal.weight[0]).sum(1, keepdim=True)
    weighted = torch.einsum("oc,bchw->bohw", module.W.weight[:, :, 0, 0], x)
    torch.testing.assert_close(module(x), weighted * torch.log(saliency + 0.5))


def test_what_is_not_salient_gives_zero_at_eps_one() -> None:
    module: Any = zoo.create_attention("boosted", 3)
    y = module.boost(torch.rand(1, 3, 2, 2), torch.zeros(1, 1, 2, 2))
    assert torch.equal(y, torch.zeros(1, 3, 2, 2))


def test_the_response_grows_with_saliency() -> None:
    module: Any = zoo.create_attention("boosted", 3)
    x, steps = torch.rand(5, 3, 1, 1), torch.linspace(0, 4, 5).view(5, 1, 1, 1)
    y = module.boost(x[:1].expand_as(x), steps).abs()
    assert (y.diff(dim=0) > 0).all()


def test_below_its_domain_the_logarithm_is_held() -> None:
    module: Any = zoo.create_attention("boosted", 1, eps=2.0)
    x = torch.ones(1, 1, 1, 1, requires_grad=True)
    y = module.boost(x, torch.full((1, 1, 1, 1), -9.0))
    assert y.item() == pytest.approx(module.W.weight.item() * math.log(0.002))


def test_a_saliency_has_one_plane_or_one_for_each_channel() -> None:
    assert zoo.create_attention("boosted", 4, saliency_channels=4)(torch.rand(1, 4, 2, 2)).shape
    with pytest.raises(OptionError, match="saliency_channels"):
        zoo.create_attention("boosted", 4, saliency_channels=2)
