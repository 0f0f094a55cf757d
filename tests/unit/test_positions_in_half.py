"""Positions, angles and counts in half precision, against the same in full."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from zoo_plugins.mechanisms.arithmetic.mirror import mirror_grid
from zoo_plugins.mechanisms.arithmetic.region_pooling import LineRegions
from zoo_plugins.mechanisms.hard.retina import locate
from zoo_plugins.mechanisms.multimodal.fourier import interleaved_features, stacked_features
from zoo_plugins.mechanisms.self_attention.hashing import cluster, spread_positions
from zoo_plugins.mechanisms.spatial.region_construction import boundary_between
from zoo_plugins.mechanisms.spatial_transformer.warp import Warp

import zoo
from zoo.sdk.sampling import affine_grid, sample

HALF = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
SIZE = (56, 60)


def draw(*shape: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@HALF
@pytest.mark.parametrize("autocast", [True, False])
def test_a_spatial_transformer_starts_as_the_identity(dtype: torch.dtype, autocast: bool) -> None:
    module = zoo.create_attention("spatial_transformer", 16, feat_size=SIZE).eval()
    assert isinstance(module, nn.Module)
    x = draw(2, 16, *SIZE, dtype=dtype)
    x, module = (x.float(), module) if autocast else (x, module.to(dtype))
    with torch.no_grad(), torch.autocast("cpu", dtype, enabled=autocast):
        y = module(x)
    torch.testing.assert_close(y, x, rtol=0, atol=1e-4)


@HALF
def test_a_map_is_read_where_the_transform_points(dtype: torch.dtype) -> None:
    x = draw(2, 3, *SIZE, dtype=dtype)
    theta = torch.tensor([[0.9, 0.1, 0.05], [-0.1, 0.9, -0.03]]).expand(2, 2, 3).to(dtype)
    expected = sample(x.double(), affine_grid(theta.double(), [2, 3, *SIZE], False), False)
    for autocast in (True, False):
        with torch.autocast("cpu", dtype, enabled=autocast):
            y = sample(x, affine_grid(theta, [2, 3, *SIZE], False), False)
        assert y.dtype == dtype
        torch.testing.assert_close(y.double(), expected, rtol=1e-2, atol=1e-2)


@HALF
@pytest.mark.parametrize("transform", ["affine", "attention", "projective", "tps"])
def test_a_warp_by_nothing_changes_nothing(dtype: torch.dtype, transform: str) -> None:
    warp = Warp(SIZE, transform)
    x = draw(1, 3, *SIZE, dtype=dtype)
    y = warp(x, torch.zeros(1, warp.num_parameters, dtype=dtype))
    torch.testing.assert_close(y, x, rtol=1e-2, atol=1e-2)


@HALF
def test_the_regions_of_harmonious_attention_lie_where_they_do(dtype: torch.dtype) -> None:
    module: Any = zoo.create_attention("harmonious_regions", 8)
    x, theta = draw(2, 8, *SIZE, dtype=dtype), draw(2, 4, 2, dtype=dtype, seed=1).tanh()
    expected = module.regions(x.double(), theta.double())
    found = module.regions(x, theta).double()
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)


@HALF
def test_lines_mirror_and_part_a_map_as_in_full(dtype: torch.dtype) -> None:
    x, line = draw(1, 2, *SIZE, dtype=dtype), draw(3, 4, dtype=dtype, seed=2).tanh()
    grid = mirror_grid(x, line).double()
    torch.testing.assert_close(grid, mirror_grid(x.double(), line.double()), rtol=0, atol=1e-5)
    regions, pixels = LineRegions((224, 240), 4, 5, 5.0), (line + 1) * 110
    found, expected = (
        regions._sides(t, each) for t, each in ((x, pixels), (x.float(), pixels.float()))
    )
    assert torch.equal(found.float(), expected)


@HALF
@pytest.mark.parametrize("features", [interleaved_features, stacked_features])
def test_fourier_features_keep_their_phase(dtype: torch.dtype, features: Any) -> None:
    resolution = 224.0 if features is interleaved_features else (224.0, 224.0)
    found, expected = (
        features((64, 64), 16, resolution, torch.zeros(1, dtype=each))
        for each in (dtype, torch.float32)
    )
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=4e-3)


@HALF
def test_the_spatial_basis_of_s3ta_keeps_its_phase(dtype: torch.dtype) -> None:
    module: Any = zoo.create_attention("s3ta", 16)
    found = module.basis(torch.zeros(1, 16, *SIZE, dtype=dtype))
    expected = module.basis(torch.zeros(1, 16, *SIZE, dtype=torch.float64))
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=4e-3)


@HALF
@pytest.mark.parametrize("learns", [True, False])
def test_lines_between_positions_do_not_leave_the_map(dtype: torch.dtype, learns: bool) -> None:
    probability = draw(1, 24, 22, dtype=dtype).sigmoid().requires_grad_(learns)
    found, expected = boundary_between(probability), boundary_between(probability.double())
    torch.testing.assert_close(found.double(), expected, rtol=1e-2, atol=1e-2)


@HALF
def test_a_glimpse_is_of_the_pixel_that_its_location_says(dtype: torch.dtype) -> None:
    location = torch.linspace(-1, 1, 513).to(dtype)[:, None].expand(-1, 2)
    assert torch.equal(locate(location, (100, 60)), locate(location.double(), (100, 60)))


@HALF
def test_clusters_start_within_the_tokens_and_count_all(dtype: torch.dtype) -> None:
    """100 parts of 1,440 tokens: their product is beyond float16."""
    draws, present = torch.rand(100).to(dtype), torch.ones(1, 1440, dtype=torch.bool)
    assert torch.equal(spread_positions(present, draws), spread_positions(present, draws.double()))
    module = zoo.create_attention("clustered", 32, num_clusters=100).eval().to(dtype)
    with torch.no_grad():
        assert module(draw(1, 1440, 32, dtype=dtype)).isfinite().all()


@HALF
def test_an_lstm_runs_under_autocast(dtype: torch.dtype) -> None:
    """Its kernel knows neither type on every CPU."""
    module, x = (
        zoo.create_attention("picanet_global", 8, feat_size=8).eval(),
        draw(2, 8, 8, 8, dtype=dtype),
    )
    with torch.no_grad():
        expected = module(x.float())
        with torch.autocast("cpu", dtype):
            found = module(x.float())
    torch.testing.assert_close(found.float(), expected, rtol=1e-2, atol=1e-2)


@HALF
def test_most_votes_decide_a_bit_of_a_cluster(dtype: torch.dtype) -> None:
    """3,000 for, then 2,200 against: bfloat16 counts to 256, and float16 to 2,048."""
    codes = torch.tensor([1.0] * 3000 + [-1.0] * 2200)[None, :, None].expand(1, -1, 3).clone()
    codes[:, ::2, 1] = 1
    codes[:, :, 2] = draw(1, 5200, dtype=torch.float64).sign()
    present, start = torch.ones(1, 5200, dtype=torch.bool), torch.tensor([[0, 2999, 5199]])
    found, expected = (
        cluster(codes.to(each), present, start, 4) for each in (dtype, torch.float64)
    )
    assert torch.equal(found, expected)
