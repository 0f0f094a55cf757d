"""Self-attention to windows of a map, where no recorded case reaches: equations, options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from randomised import WIDTH, build, randomised
from timm.models.focalnet import FocalModulation
from timm.models.swin_transformer import SwinTransformerBlock
from torch import Tensor, nn

import zoo
from zoo.errors import OptionError


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
