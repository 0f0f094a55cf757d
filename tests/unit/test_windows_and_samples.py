"""Self-attention that sees a part of a map, where no recorded case reaches: equations, options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import zoo

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
