"""Self-attention to places that are chosen, where no recorded case reaches: equations, options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from randomised import WIDTH, build
from timm.layers import Attention
from torch import Tensor, nn

import zoo
from zoo.errors import OptionError, UsageError


@torch.no_grad()
def plain(module: Any, x: Tensor, places: Tensor, bias: Any = 0.0) -> Tensor:
    """DAT with all sums written out, of places (B G, H', W', 2)."""
    batch, channels, height, width = x.shape
    groups = x.view(batch * module.groups, -1, height, width)
    sampled = torch.stack([bilinear(x_, p) for x_, p in zip(groups, places, strict=True)])
    sampled = sampled.view(batch, channels, 1, -1)
    q, k, v = module.proj_q(x), module.proj_k(sampled), module.proj_v(sampled)
    q, k, v = (t.view(batch, module.num_heads, -1, t[0, 0].numel()) for t in (q, k, v))
    weights = (q.mT @ k * q.shape[2] ** -0.5 + bias).softmax(3)
    return module.proj_out((weights @ v.mT).mT.reshape(x.shape))


def bilinear(x: Tensor, places: Tensor) -> Tensor:
    """x (C, H, W) at places (H', W', 2) from -1 at the first centre to 1 at the last."""
    size = torch.tensor(x.shape[1:]) - 1
    at = ((places + 1) / 2 * size).flatten(0, 1)
    found = torch.zeros(x.shape[0], len(at))
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        near = at.floor().long() + torch.tensor(corner)
        weight = (1 - (at - near).abs()).prod(1)
        inside = ((near >= 0) & (near <= size)).all(1)
        row, column = (near * inside[:, None]).unbind(1)
        found += x[:, row, column] * (weight * inside)
    return found


@pytest.mark.parametrize(
    ("options", "factor"),
    [
        ({"stride": 2, "kernel_size": 3}, 2.0),
        ({"stride": 2, "kernel_size": 2, "groups": 3, "num_heads": 6}, -1.0),
        ({"variant": "cvpr2022", "groups": 2, "num_heads": 4}, 0.0),
        ({"variant": "cvpr2022", "stride": 2, "kernel_size": 3}, -1.0),
        ({"variant": "cvpr2022", "stride": 3, "kernel_size": 3}, 1.5),
    ],
)
@torch.no_grad()
def test_deformable_samples_where_its_equation_says(options: dict[str, Any], factor: float) -> None:
    module = build("dat", feat_size=(7, 10), position=None, offset_range_factor=factor, **options)
    x = torch.randn(2, WIDTH, 7, 10)
    expected = plain(module, x, places_of(module, x, factor, "variant" in options))
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)


def places_of(module: Any, x: Tensor, factor: float, old: bool = False) -> Tensor:
    """Where DAT samples x, by the equations of its authors' older or later code."""
    q = module.proj_q(x)
    offset = module.conv_offset(q.view(len(x) * module.groups, -1, *x.shape[2:]))
    rows, columns = offset.shape[2:]
    offset = offset.permute(0, 2, 3, 1)
    span = torch.tensor([rows, columns]) - (0 if old else 1)
    grid = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    ref = (torch.stack(grid, -1) + 0.5) / span * 2 - 1
    if factor < 0:
        return (offset + ref).tanh() if old else (offset + ref).clamp(-1, 1)
    return ref + (offset.tanh() * factor / span if factor else offset)


@torch.no_grad()
def test_deformable_without_offsets_meets_averages() -> None:
    options: dict[str, Any] = {"use_pe": True, "no_off": True, "stride": 2, "kernel_size": 2}
    module = build("deformable", feat_size=(6, 8), num_heads=4, **options)
    x = torch.randn(2, WIDTH, 6, 8)
    q, small = module.proj_q(x), nn.functional.avg_pool2d(x, 2)
    q, k, v = (t.view(2, 4, 6, -1) for t in (q, module.proj_k(small), module.proj_v(small)))
    y = ((q.mT @ k * 6**-0.5).softmax(3) @ v.mT).mT.reshape(x.shape)
    torch.testing.assert_close(module(x), module.proj_out(y))
    assert not [key for key in module.state_dict() if "offset" in key or "rpe" in key]
    with pytest.raises(OptionError, match=r"dat\+\+"):
        build("dat", feat_size=6, offsets=False, variant="cvpr2022")


@torch.no_grad()
def test_deformable_with_a_table_of_queries_and_places() -> None:
    options: dict[str, Any] = {"fixed_pe": True, "stride": 2, "kernel_size": 3}
    module = build("dat", feat_size=(7, 5), num_heads=4, offset_range_factor=-1, **options)
    x = torch.randn(2, WIDTH, 7, 5)
    expected = plain(module, x, places_of(module, x, -1), module.rpe_table)
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(OptionError, match="feat_size"):
        module(torch.randn(2, WIDTH, 5, 7))


@pytest.mark.parametrize("position", ["table", "log_cpb", "depthwise", None])
@torch.no_grad()
def test_deformable_takes_other_maps_than_it_was_built_for(position: Any) -> None:
    module = build("dat", feat_size=(6, 6), position=position, stride=2, kernel_size=3)
    for size in ((12, 9), (1, 1), (1, 7)):
        assert bool(module(torch.randn(2, WIDTH, *size)).isfinite().all())


@pytest.mark.parametrize("size", [(11, 9), (8, 14), (3, 2)])
@torch.no_grad()
def test_the_later_class_of_bi_level_routing_pads_what_is_projected(size: tuple[int, int]) -> None:
    module = build("bra", variant="nchw", n_win=4, topk=3, num_heads=3)
    x = torch.randn(2, WIDTH, *size)
    region = [max(1, n // 4) for n in size]
    q, k, v = module.qkv(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).chunk(3, 1)
    q_r, k_r = (
        nn.functional.avg_pool2d(t, region, ceil_mode=True, count_include_pad=False).flatten(2)
        for t in (q, k)
    )
    routes = (q_r.mT @ k_r).topk(min(3, q_r.shape[2]), 2).indices
    more = (0, -size[1] % region[1], 0, -size[0] % region[0])
    cells = [
        nn.functional.pad(t, more).unfold(2, region[0], region[0]).unfold(3, region[1], region[1])
        for t in (q, k, v)
    ]
    columns = cells[0].shape[3]
    cells = [t.flatten(4).flatten(2, 3).unflatten(1, (3, -1)) for t in cells]  # B, h, d, R, n
    expected = torch.zeros(
        2, WIDTH, *(n + n_more for n, n_more in zip(size, more[3::-2], strict=True))
    )
    for image in range(2):
        for place in range(routes.shape[1]):
            keys, values = (t[image][:, :, routes[image, place]].flatten(2) for t in cells[1:])
            weights = (cells[0][image, :, :, place].mT @ keys * WIDTH**-0.5).softmax(2)
            row, column = place // columns * region[0], place % columns * region[1]
            y = (weights @ values.mT).mT.flatten(0, 1).unflatten(1, region)
            expected[image, :, row : row + region[0], column : column + region[1]] = y
    expected = expected[:, :, : size[0], : size[1]] + module.lepe(v)
    expected = module.proj(expected.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)


def test_bi_level_routing_says_what_does_not_fit() -> None:
    with pytest.raises(OptionError, match="4 regions"):
        build("bra", n_win=2, topk=5)
    with pytest.raises(OptionError, match="auto_pad"):
        build("bra", auto_pad=False)(torch.randn(1, WIDTH, 8, 7))
    assert build("bra", side_dwconv=0).lepe is None
    assert build("bra", auto_pad=False)(torch.randn(1, WIDTH, 14, 7)).shape[2:] == (14, 7)


@torch.no_grad()
def test_bi_level_routing_to_all_regions_is_what_it_takes_over() -> None:
    tokens = Attention(WIDTH, 4, qkv_bias=True).eval()
    module = build("bra", num_heads=4, n_win=2, topk=4)
    module.take_over(tokens)
    x = torch.randn(2, WIDTH, 4, 6)
    expected = tokens(x.flatten(2).mT).mT.unflatten(2, (4, 6))
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_ms_deformable_reads_a_box_of_each_level_where_its_equation_says() -> None:
    shapes = [(5, 4), (3, 2)]
    module = build("ms_deform_attn", 8, n_heads=2, n_levels=2, n_points=3)
    query, value = torch.randn(1, 3, 8), torch.randn(1, 26, 8)
    boxes = torch.rand(1, 3, 2, 4)
    offsets = module.sampling_offsets(query).view(3, 2, 2, 3, 2)
    weights = module.attention_weights(query).view(3, 2, 6).softmax(2).view(3, 2, 2, 3)
    mask = torch.rand(1, 26) < 0.3
    v = module.value_proj(value).masked_fill(mask[..., None], 0.0)[0]
    expected = torch.zeros(3, 2, 4)
    for level, (rows, columns) in enumerate(shapes):
        first = level * 20
        maps = v[first : first + rows * columns].view(rows, columns, 2, 4).permute(2, 3, 0, 1)
        middle, size = boxes[0, :, level, :2], boxes[0, :, level, 2:]
        for head in range(2):
            at = middle[:, None] + offsets[:, head, level] / 3 * size[:, None] / 2
            at = at.flip(2) * torch.tensor([rows, columns]) - 0.5  # rows and columns of cells
            at = at / (torch.tensor([rows, columns]) - 1) * 2 - 1
            found = bilinear(maps[head], at).view(4, 3, 3)
            expected[:, head] += torch.einsum("cnp,np->nc", found, weights[:, head, level])
    found = module(query, boxes, value, shapes, mask)
    expected = module.output_proj(expected.flatten(1))
    torch.testing.assert_close(found[0], expected, rtol=1e-4, atol=1e-5)


def test_ms_deformable_starts_in_a_ring_and_says_what_does_not_fit() -> None:
    module: Any = zoo.create_attention("msda", WIDTH, num_heads=4, num_levels=2, num_points=3)
    bias = module.sampling_offsets.bias.view(4, 2, 3, 2)
    directions = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    steps = torch.arange(1, 4)[:, None]
    torch.testing.assert_close(bias[:, 1], directions[:, None] * steps, rtol=0, atol=1e-6)
    assert not module.attention_weights.weight.any()
    with pytest.raises(UsageError, match="2 levels, but 0"):
        module(torch.randn(1, 16, WIDTH))
    query, value, points = (
        torch.randn(1, 3, WIDTH),
        torch.randn(1, 20, WIDTH),
        torch.rand(1, 3, 2, 2),
    )
    for shapes, reference, words in (
        ([(4, 4)], points, "2 levels, but 1"),
        ([(4, 4), (2, 3)], points, "22"),
        ([(4, 4), (2, 2)], points[..., :1], "2 or 4"),
        ([(4, 4), (2, 2)], points[:, :, :1], "reference_points"),
    ):
        with pytest.raises(UsageError, match=words):
            module(query, reference, value, shapes)


@torch.no_grad()
def test_ms_deformable_of_maps_alone_reads_around_each_position() -> None:
    shapes = [(3, 4), (2, 2)]
    module = build("msda", num_heads=4, num_levels=2, num_points=2, spatial_shapes=shapes)
    x = torch.randn(2, 16, WIDTH)
    centres = torch.tensor(
        [((j + 0.5) / w, (i + 0.5) / h) for h, w in shapes for i in range(h) for j in range(w)]
    )
    points = centres[None, :, None].expand(2, -1, 2, -1)
    torch.testing.assert_close(module(x), module(x, points, x))
    with pytest.raises(UsageError, match="16"):
        module(x[:, :15])
