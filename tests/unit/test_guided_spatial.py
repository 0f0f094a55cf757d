"""Spatial attention that is guided, against plain restatements of what it says it computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from zoo_plugins.mechanisms.spatial.region_construction import (
    boundary_between,
    region_attention,
    region_map,
    representatives,
)

import zoo
from zoo.errors import OptionError, UsageError


def on_the_line(plane: Tensor, s: tuple[int, int], t: tuple[int, int]) -> Tensor:
    """The largest value strictly between two positions, one step at a time."""
    (y, x), down, right = s, t[0] - s[0], t[1] - s[1]
    steps, best = max(abs(down), abs(right)), plane.new_zeros(())
    for step in range(1, steps):
        major_is_x = abs(right) >= abs(down)
        row, column = y + step * down / steps, x + step * right / steps
        minor, size = (row, plane.shape[0]) if major_is_x else (column, plane.shape[1])
        low = int(minor + 1e-9)
        high = min(low + 1, size - 1)
        lines = plane[:, round(column)] if major_is_x else plane[round(row)]
        best = torch.maximum(best, (minor - low) * lines[high] + (high - minor) * lines[low])
    return best


def test_boundaries_between_positions() -> None:
    torch.manual_seed(0)
    plane = torch.rand(2, 4, 5, dtype=torch.float64, requires_grad=True)
    found = boundary_between(plane)
    places = [(i, j) for i in range(4) for j in range(5)]
    rows = [torch.stack([on_the_line(p, s, t) for s in places for t in places]) for p in plane]
    expected = torch.stack(rows).view(2, 20, 20)
    torch.testing.assert_close(found, expected)
    weights = torch.rand_like(found)
    ours, theirs = (torch.autograd.grad((x * weights).sum(), plane)[0] for x in (found, expected))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("wall", "regions"), [(False, [0, 1, 0]), (True, [0, 1, 2])])
def test_a_boundary_parts_what_is_of_one_class(wall: bool, regions: list[int]) -> None:
    """Three bands of the classes 0, 1, 0; with a wall, the middle one is all boundary."""
    semantic, boundary = torch.full((1, 2, 3, 6), -6.0), torch.full((1, 2, 3, 6), -6.0)
    semantic[:, 0, :, :2] = semantic[:, 1, :, 2:4] = semantic[:, 0, :, 4:] = 6
    boundary[:, 0] = 6
    if wall:
        boundary[0, :, :, 2:4] = torch.tensor([-6.0, 6.0]).view(2, 1, 1)
    found = region_map(region_attention(semantic, boundary), 0.8).view(3, 6)
    expected = torch.tensor(regions).repeat_interleave(2).expand(3, 6)
    assert torch.equal(found[:2], expected[:2])  # lines within the last row meet no boundary


def test_representatives_are_the_best_of_each_region_or_all() -> None:
    region = torch.tensor([[0, 0, 0, 1, 1, 0]])
    attention = torch.rand(1, 6, 6)
    score, chosen = representatives(attention, region, 3)
    assert chosen.sum() == 5 and chosen[0, 3:5].all()
    members = torch.tensor([0, 1, 2, 5])
    means = attention[0, members][:, members].mean(1)
    torch.testing.assert_close(score[0, members], means)
    assert not chosen[0, members[means.argmin()]]


def test_region_of_one_image_does_not_depend_on_the_others_lists() -> None:
    torch.manual_seed(0)
    module: Any = zoo.create_attention("region", 4, in_channels=6, topk=2).eval()
    feats, semantic = torch.randn(2, 6, 4, 4), torch.randn(2, 3, 4, 4)
    semantic[0] = 0  # one region, against many
    boundary = torch.randn(2, 2, 4, 4)
    boundary[0, 1] = -9
    together = module(feats, semantic, boundary)
    for i in range(2):
        alone = module(feats[i : i + 1], semantic[i : i + 1], boundary[i : i + 1])
        torch.testing.assert_close(alone[0], together[i])


def test_multi_context_parts_are_blocks_of_their_own() -> None:
    torch.manual_seed(0)
    module: Any = zoo.create_attention("multi_context", 5, num_parts=3, iters=2)
    x = torch.randn(2, 5, 6, 7)
    found = module.attend(x)
    assert torch.equal(module(x), found["y"])
    for p in range(3):
        u = F.conv2d(
            found["y"],
            module.parts.conv_u.weight[p : p + 1],
            module.parts.conv_u.bias[p : p + 1],
            padding=1,
        )
        q = u
        for _ in range(2):
            w, b = module.parts.sp_conv.weight[p : p + 1], module.parts.sp_conv.bias[p : p + 1]
            q = torch.sigmoid(F.conv2d(q, w, b, padding=1) + u)
        torch.testing.assert_close(found["part_attention"][:, p : p + 1], q)
        score = F.conv2d(
            found["y"] * q, module.heads.weight[p : p + 1], module.heads.bias[p : p + 1]
        )
        torch.testing.assert_close(found["part_scores"][:, p : p + 1], score)


def test_pyramid_feature_normalises_by_the_batch_if_asked() -> None:
    torch.manual_seed(0)
    sizes, widths = (16, 8, 4, 2, 1), (2, 3, 4, 5, 6)
    maps = [torch.randn(2, c, 2 * s, s) for c, s in zip(widths, sizes, strict=True)]
    options: Any = {"in_channels": widths, "cpfe_channels": 2}
    plain = zoo.create_attention("pyramid_feature", 4, **options)
    module: Any = zoo.create_attention("pyramid_feature", 4, bn_batch_statistics=True, **options)
    module.load_state_dict(plain.state_dict())
    torch.testing.assert_close(module.eval()(*maps), plain.train()(*maps))
    attention = module.attend(*maps)["spatial_attention"]
    assert 0.5 <= attention.min() and attention.max() < 1
    with pytest.raises(UsageError, match="c2"):
        module(maps[0], *maps[:4])


def test_style_pooling_is_mean_and_deviation_of_windows() -> None:
    from zoo_plugins.mechanisms.spatial.spatial_attention_pyramid import style_pool

    x = torch.randn(2, 3, 7, 8) + 5
    found = style_pool(x, (3, 3), 2)
    windows = F.unfold(x, 3, stride=2).view(2, 3, 9, -1)
    std, mean = torch.std_mean(windows, 2, correction=0)
    torch.testing.assert_close(found, torch.cat([mean, std], 1).view(2, 6, 3, 3))


@pytest.mark.parametrize("pool", ["avg", "max", "style"])
def test_spatial_attention_pyramid_weighs_its_levels(pool: str) -> None:
    options: Any = {"num_anchors": 2, "embed_channels": 6, "window_sizes": (1, 2, -1), "pool": pool}
    module: Any = zoo.create_attention("spatial_attention_pyramid", 4, **options).eval()
    found = module.attend(torch.randn(3, 4, 5, 4), torch.randn(3, 2, 3, 3))
    weights = found["level_weights"]
    torch.testing.assert_close(weights.sum(1), torch.ones_like(weights[:, 0]))
    width = 12 if pool == "style" else 6
    assert found["semantic_vector"].shape == (3, width)


def test_spatial_attention_pyramid_says_which_window_is_too_large() -> None:
    module = zoo.create_attention("spatial_attention_pyramid", 4, num_anchors=2)
    with pytest.raises(OptionError, match="window 9 is larger"):
        module.eval()(torch.rand(1, 4, 8, 9), torch.rand(1, 2, 8, 9))
    with pytest.raises(OptionError, match="window_strides"):
        zoo.create_attention("spatial_attention_pyramid", 4, window_strides=(1, 2))
