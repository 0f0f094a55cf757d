"""Hard regional attention: the regions are where the centres say."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import zoo


def build(**options: Any) -> Any:
    torch.manual_seed(0)
    return zoo.create_attention("harmonious_regions", 8, **options)


def sample() -> Tensor:
    return torch.randn(2, 8, 12, 6, generator=torch.Generator().manual_seed(1))


def test_one_region_of_full_scale_is_the_map() -> None:
    module, x = build(num_regions=1, region_scale=(1, 1)), sample()
    torch.testing.assert_close(module(x)[:, 0], x)


def test_regions_start_as_strips_of_the_source() -> None:
    """Of a map whose values are its rows: a third of it about each centre, stretched to twelve."""
    module = build(num_regions=3, region_scale=(1, 1 / 3))
    source = torch.arange(12.0)[:, None].expand(2, 8, 12, 6)
    found = module(torch.zeros_like(source), source)
    centres = torch.tensor([-2 / 3, 0.0, 2 / 3]).tanh().reshape(3, 1, 1)
    within = (2 * torch.arange(12.0).reshape(1, 12, 1) + 1) / 12 - 1
    rows = (centres + within / 3 + 1) * 6 - 0.5
    inside = (rows >= 0) & (rows <= 11)
    expected = rows.expand(3, 12, 6).masked_fill(~inside, 0)
    found = found.masked_fill(~inside[None, :, None], 0)
    torch.testing.assert_close(found, expected[None, :, None].expand_as(found))


def test_a_moved_centre_moves_the_region() -> None:
    module, x = build(num_regions=1, region_scale=(1, 0.5), align_corners=True), sample()
    rows = x.shape[2] - 1
    theta = torch.tensor([[[0.0, 2 / rows]]]).expand(2, 1, 2)  # one row down
    still = module.regions(x, torch.zeros(2, 1, 2))
    moved = module.regions(x.roll(1, 2), theta)
    torch.testing.assert_close(moved, still, rtol=1e-4, atol=1e-5)


def test_where_to_look_learns_from_what_is_seen() -> None:
    module = build(region_size=(2, 3))
    regions = module(sample(), sample())
    assert regions.shape == (2, 4, 8, 2, 3)
    regions.square().sum().backward()
    assert module.fc.weight.grad.abs().max() > 0
