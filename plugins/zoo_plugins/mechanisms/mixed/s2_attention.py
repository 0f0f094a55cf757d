"""S2-attention, the mixer of S2-MLPv2 (Yu et al., 2021, arXiv 2108.01072, algorithm 1).

    [z1, z2, z3] = W1 x + b1                                   each (B, C, H, W)
    x1 = shift1(z1),  x2 = shift2(z2),  x3 = z3
    a = sum_khw(x_k)                                           (B, C)
    w = softmax_k(V2 gelu(V1 a))                               (B, 3, C)
    y = W2 sum_k(w_k * x_k) + b2

x, y: (B, C, H, W); W1: C -> 3 C, W2: C -> C, at each position; V1: C -> C, V2: C -> 3 C, without
biases. shift1 moves the four quarters of the channels by one position down, up, right and left,
shift2 right, left, down and up. A border that has no neighbour keeps its own value.

The authors published no code. Their pseudo-code, and the ports that copy it, shift in place
between views that overlap, which smears the first row instead of shifting; here the shift is the
one that the paper describes. a is a sum, not a mean, so that it grows with the map.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk.precision import saturated


class S2Attention(nn.Module):
    """A token mixer: (B, C, H, W) -> the same shape.

    Args:
        channels: C, at least 4 for every direction to have a channel.
        bias: of the first and the last layer, True.
    """

    def __init__(
        self, channels: int, *, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.mlp1 = nn.Conv2d(channels, 3 * channels, 1, bias=bias, **dd)
        self.split_attention = SplitAttention(channels, **dd)
        self.mlp2 = nn.Conv2d(channels, channels, 1, bias=bias, **dd)

    def forward(self, x: Tensor) -> Tensor:
        z1, z2, z3 = self.mlp1(x).chunk(3, 1)
        paths = [_shift(z1, 2, 3), _shift(z2, 3, 2), z3]  # rows first, columns first
        weights = self.split_attention(paths).unsqueeze(3).unsqueeze(4).unbind(1)
        mixed = weights[0] * paths[0] + weights[1] * paths[1] + weights[2] * paths[2]
        return self.mlp2(mixed)


class SplitAttention(nn.Module):
    """Three maps (B, C, H, W) -> the weight of each, (B, 3, C)."""

    def __init__(self, channels: int, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        dd: Any = {"bias": False, "device": device, "dtype": dtype}
        self.mlp1 = nn.Linear(channels, channels, **dd)
        self.mlp2 = nn.Linear(channels, 3 * channels, **dd)

    def forward(self, paths: list[Tensor]) -> Tensor:
        sums = [x.sum((2, 3)) for x in paths]
        total = saturated(sums[0] + sums[1] + sums[2])
        logits = self.mlp2(F.gelu(saturated(self.mlp1(total))))
        return torch.softmax(logits.unflatten(1, (3, -1)), 1)


def _shift(x: Tensor, first: int, second: int) -> Tensor:
    """Each quarter of the channels moved by one position, forth and back along two dimensions; the
    last quarter takes what is left over.
    """
    a, b, c = x.shape[1] // 4, x.shape[1] // 2, 3 * x.shape[1] // 4
    forth, back = _moved(x[:, :a], first, 1), _moved(x[:, a:b], first, -1)
    return torch.cat((forth, back, _moved(x[:, b:c], second, 1), _moved(x[:, c:], second, -1)), 1)


def _moved(x: Tensor, dim: int, step: int) -> Tensor:
    """x moved by one position along `dim`; the border keeps its value."""
    length = x.shape[dim]
    if step > 0:
        return torch.cat([x.narrow(dim, 0, 1), x.narrow(dim, 0, length - 1)], dim)
    return torch.cat([x.narrow(dim, 1, length - 1), x.narrow(dim, length - 1, 1)], dim)
