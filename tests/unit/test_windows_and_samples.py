"""Self-attention that sees a part of a map, where no recorded case reaches: equations, options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.layers import Attention
from timm.models.focalnet import FocalModulation
from timm.models.swin_transformer import SwinTransformerBlock
from torch import Tensor, nn

import zoo
from zoo.errors import OptionError, UsageError

WIDTH = 24


def randomised(module: Any) -> Any:
    """Every parameter drawn, those that start at zero or one too."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


def build(name: str, channels: int = WIDTH, **options: Any) -> Any:
    torch.manual_seed(0)
    return randomised(zoo.create_attention(name, channels, **options))


def nearest(place: int, side: int, kernel: int, dilation: int) -> list[int]:
    """The `kernel` places of the same residue that are nearest, the lower ones last to leave."""
    line = range(place % dilation, side, dilation)
    by_distance = sorted(line, key=lambda other: abs(other - place))[:kernel]
    return sorted(by_distance)


@pytest.mark.parametrize(
    ("size", "kernel", "dilation"), [((11, 6), 5, 1), ((13, 10), 3, 3), ((9, 17), 3, 2)]
)
@torch.no_grad()
def test_neighborhood_is_a_softmax_over_the_nearest(
    size: tuple[int, int], kernel: int, dilation: int
) -> None:
    module = build("nat", kernel_size=kernel, dilation=dilation, num_heads=3)
    x = torch.randn(2, WIDTH, *size)
    q, k, v = module.qkv(x.permute(0, 2, 3, 1)).unflatten(3, (3, 3, -1)).unbind(3)
    expected = torch.empty(2, *size, 3, WIDTH // 3)
    for i in range(size[0]):
        for j in range(size[1]):
            rows = torch.tensor(nearest(i, size[0], kernel, dilation))
            columns = torch.tensor(nearest(j, size[1], kernel, dilation))
            keys, values = (t[:, rows][:, :, columns].flatten(1, 2) for t in (k, v))
            bias = module.rpb[:, (rows - i) // dilation + kernel - 1]
            bias = bias[:, :, (columns - j) // dilation + kernel - 1].flatten(1)
            logits = torch.einsum("bhd,bnhd->bhn", q[:, i, j], keys) * (WIDTH // 3) ** -0.5
            expected[:, i, j] = torch.einsum("bhn,bnhd->bhd", (logits + bias).softmax(2), values)
    found = module(x).permute(0, 2, 3, 1)
    torch.testing.assert_close(found, module.proj(expected.flatten(3)))


@torch.no_grad()
def test_neighborhood_that_is_the_whole_map_is_multi_head_attention() -> None:
    tokens: Any = build("multi_head", num_heads=4, qkv_bias=True)
    module: Any = build("neighborhood", num_heads=4, kernel_size=5, rel_pos_bias=False)
    module.load_state_dict(tokens.state_dict())
    x = torch.randn(2, WIDTH, 5, 5)
    expected = tokens(x.flatten(2).mT).mT.unflatten(2, (5, 5))
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize(("size", "shift"), [((8, 12), 2), ((12, 8), (1, 3)), ((4, 4), 2)])
@torch.no_grad()
def test_shifted_windows_are_those_of_swin(size: tuple[int, int], shift: Any) -> None:
    theirs: Any = randomised(SwinTransformerBlock(WIDTH, size, 3, window_size=4, shift_size=shift))
    ours: Any = zoo.create_attention("sw_msa", WIDTH, num_heads=3, window_size=4, shift_size=shift)
    ours.load_state_dict(theirs.attn.state_dict())
    x = torch.randn(2, WIDTH, *size)
    expected = theirs._attn(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    for module in (ours.train(), ours.eval()):
        torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_shifted_window_of_a_padded_map_sees_no_other_end_of_it() -> None:
    module = build("window", num_heads=3, window_size=4, shift_size=2)
    x = torch.randn(1, WIDTH, 9, 11)
    changed = x.clone()
    changed[:, :, :2] += 1
    apart = (module(changed) - module(x)).abs().amax((0, 1, 3))
    assert apart[:2].min() > 1e-3 and apart[2:].max() == 0  # rows 2 to 5 are the next window
    with pytest.raises(OptionError, match="below window_size"):
        build("window", window_size=4, shift_size=4)


@pytest.mark.parametrize("options", [{"focal_level": 3}, {"use_post_norm": True}])
@torch.no_grad()
def test_focal_modulation_loads_what_timm_saved(options: dict[str, Any]) -> None:
    theirs = randomised(FocalModulation(WIDTH, 3, **{"focal_level": 2, **options}))
    ours: Any = zoo.create_attention("focal", WIDTH, **options).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, WIDTH, 7, 5)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-3, atol=1e-3)  # another epsilon
    with pytest.raises(OptionError, match="even"):
        build("focal", focal_factor=1)


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


@pytest.mark.parametrize(
    ("size", "kernel", "stride"), [((7, 9), 5, 2), ((2, 3), 7, 1), ((1, 6), 3, 3)]
)
@torch.no_grad()
def test_acmix_is_two_paths_on_maps_of_any_size(
    size: tuple[int, int], kernel: int, stride: int
) -> None:
    module = build("acmix", kernel_size=kernel, stride=stride, num_heads=3, in_channels=5)
    x = torch.randn(2, 5, *size)
    q, k, v = (conv(x).unflatten(1, (3, -1)) for conv in (module.conv1, module.conv2, module.conv3))
    down, across = (torch.linspace(-1, 1, n) for n in size)
    place = torch.stack([across.expand(size), down[:, None].expand(size)])
    r = module.conv_p(place[None])[0]
    rows, columns = (reflected(n, kernel // 2) for n in size)
    expected = []
    for i in range(0, size[0], stride):
        for j in range(0, size[1], stride):
            down, across = rows[i : i + kernel], columns[j : j + kernel]
            keys, values, moved = (t[..., down, :][..., across].flatten(-2) for t in (k, v, r))
            logits = q[..., i, j, None] * (keys + r[:, i, j, None] - moved)
            weights = (logits.sum(2) * 8**-0.5).softmax(2)
            expected.append((values * weights[:, :, None]).sum(3).flatten(1))
    shape = [-(-n // stride) for n in size]
    attention = torch.stack(expected, 2).unflatten(2, shape)
    maps = module.fc(torch.cat([t.flatten(3) for t in (q, k, v)], 1))
    maps = maps.transpose(1, 2).flatten(1, 2).unflatten(2, size)
    expected = module.rate1 * attention + module.rate2 * module.dep_conv(maps)
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)


def reflected(side: int, reach: int) -> Tensor:
    """Places of a side that is reflected at its ends, as often as `reach` asks for."""
    there = list(range(side)) + list(range(side - 2, 0, -1))
    return torch.tensor([there[i % len(there)] for i in range(-reach, side + reach)])


@torch.no_grad()
def test_acmix_starts_as_the_sum_of_nine_shifts() -> None:
    module: Any = zoo.create_attention("acmix", 8, num_heads=2)
    weight = module.dep_conv.weight  # of each group, nine maps
    for tap in range(9):
        assert weight[:, tap].flatten(1).argmax(1).eq(tap).all()
    assert weight.sum() == 8 * 9 and float(module.rate1 + module.rate2) == 1


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


@torch.no_grad()
def test_aggregated_is_one_softmax_over_the_near_and_the_pooled() -> None:
    size, pooled = (5, 4), (2, 3)
    module = build(
        "aggregated", feat_size=size, num_heads=2, window_size=5, pool_size=pooled, pretrain_size=7
    )
    x = torch.randn(2, 20, WIDTH)
    unit = nn.functional.normalize
    small = nn.functional.gelu(module.sr(x.mT.unflatten(2, size)))
    small = module.norm(nn.functional.adaptive_avg_pool2d(small, pooled).flatten(2).mT)
    q = unit(module.q(x).unflatten(2, (2, -1)), dim=3)
    (k, v), (k_p, v_p) = (module.kv(t).unflatten(2, (2, 2, -1)).unbind(2) for t in (x, small))
    k, k_p = unit(k, dim=3), unit(k_p, dim=3)
    middles = [  # of what is averaged, by adaptive pooling of the places themselves
        nn.functional.adaptive_avg_pool1d(torch.arange(n)[None].float(), m)[0]
        for n, m in zip(size, pooled, strict=True)
    ]
    away = torch.stack(torch.meshgrid(*middles, indexing="ij"), -1).flatten(0, 1)
    expected = torch.zeros(2, 20, 2, WIDTH // 2)
    for place in range(20):
        row, column = place // 4, place % 4
        near = [
            (step, (row + step // 5 - 2) * 4 + column + step % 5 - 2)
            for step in range(25)
            if 0 <= row + step // 5 - 2 < 5 and 0 <= column + step % 5 - 2 < 4
        ]
        steps, at = (torch.tensor(each) for each in zip(*near, strict=True))
        scale = nn.functional.softplus(module.temperature[:, 0]) * torch.tensor(len(at) + 6.0).log()
        asking = (q[:, place] + module.query_embedding[:, 0]) * scale
        local = torch.einsum("bhd,bnhd->bhn", asking, k[:, at])
        local = local + module.relative_pos_bias_local[:, steps]
        offset = (torch.tensor([row, column]) - away) / 6 * 8
        offset = offset.sign() * (offset.abs() + 1).log2() / 3
        far = torch.einsum("bhd,bnhd->bhn", asking, k_p)
        far = far + module.cpb_fc2(module.cpb_fc1(offset).relu()).mT
        weights = torch.cat([local, far], 2).softmax(2)
        extra = torch.einsum("bhd,hdn->bhn", q[:, place], module.learnable_tokens)
        extra = (extra + module.learnable_bias[:, 0])[:, :, steps]
        expected[:, place] = torch.einsum(
            "bhn,bnhd->bhd", weights[..., : len(at)] + extra, v[:, at]
        )
        expected[:, place] += torch.einsum("bhn,bnhd->bhd", weights[..., len(at) :], v_p)
    torch.testing.assert_close(module(x), module.proj(expected.flatten(2)), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["neighborhood", "acmix", "window"])
@torch.no_grad()
def test_compiles_whole_and_without_a_warning(name: str) -> None:
    module = build(name, num_heads=4, **({"shift_size": 3} if name == "window" else {}))
    x = torch.randn(1, WIDTH, 9, 9)
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), module(x))
