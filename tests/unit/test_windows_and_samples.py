"""Self-attention that sees a part of a map, where no recorded case reaches: equations, options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.models.focalnet import FocalModulation
from timm.models.swin_transformer import SwinTransformerBlock
from torch import nn

import zoo
from zoo.errors import OptionError

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
