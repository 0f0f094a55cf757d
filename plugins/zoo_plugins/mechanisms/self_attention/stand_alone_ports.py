"""The ports of stand-alone self-attention, which differ from the paper's equation 3.

    merhs             one softmax for all heads together, softmax_p(q_o . k_p + (sum_n q_o^n) . r);
                      zeros around the map take part; the first half of r is the horizontal one;
                      strides skip positions; a bias of the output.
    leaderj1001       q k is not summed: one softmax for each channel, so that heads have no effect;
                      r is of all channels; heads see all input channels; zeros take part.
    leaderj1001-stem  for the first layer: as the former without r, and values are a mixture of m
                      transforms, softmax_m(e_m . (a_row + b_column)) at each place of the window.

x: (B, C_in, H, W), y: (B, C, H / s, W / s). Parameter names are as in `stand_alone`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk.precision import wide_einsum, widened
from zoo_plugins.mechanisms.self_attention.heads import down_pool
from zoo_plugins.mechanisms.self_attention.local_windows import (
    heads_of_both,
    offsets,
    require_odd,
    row_and_column,
    windows,
)


class AllHeadsTogether(nn.Module):
    """merhs/...: (B, C_in, H, W) -> (B, C, H', W') with one softmax for all heads.

    Args:
        inputs, outputs: C_in and C.
        kernel_size: k.
        num_heads: up to 8, lowered to what divides the channels.
        stride: of the windows.
        padding: zeros around the map, k // 2.
        bias: of the output.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel_size: int,
        num_heads: int | None,
        stride: int,
        padding: int | None,
        bias: bool,
        **dd: Any,
    ) -> None:
        super().__init__()
        self.num_heads = heads_of_both(inputs, outputs, num_heads)
        self.kernel_size, self.stride = kernel_size, stride
        self.padding = kernel_size // 2 if padding is None else padding
        conv: Any = {"groups": self.num_heads, "bias": False, **dd}
        self.query = nn.Conv2d(inputs, outputs, 1, **conv)
        self.key = nn.Conv2d(inputs, outputs, 1, **conv)
        self.value = nn.Conv2d(inputs, outputs, 1, **conv)
        width = outputs // self.num_heads
        self.rel_h = nn.Parameter(torch.randn(width - width // 2, kernel_size, **dd))
        self.rel_w = nn.Parameter(torch.randn(width // 2, kernel_size, **dd))
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1, **dd)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (self.padding,) * 4)
        k = windows(self.key(padded), self.kernel_size, self.stride)
        v = windows(self.value(padded), self.kernel_size, self.stride)
        q = self._middles(self.query(padded))[:, :, : k.shape[2], : k.shape[3]]
        summed = q.unflatten(1, (self.num_heads, -1)).sum(1)
        rows, columns = row_and_column(self.rel_h, self.rel_w)
        logits = wide_einsum("bchw,bchwij->bhwij", q, k)
        logits = logits + wide_einsum("bdhw,dij->bhwij", summed, torch.cat((columns, rows), -3))
        weights = logits.flatten(3).softmax(3).view_as(logits).to(v.dtype)
        y = torch.einsum("bhwij,bchwij->bchw", weights, v)
        return y if self.bias is None else y + self.bias

    def _middles(self, q: Tensor) -> Tensor:
        """The queries at the middle of each window."""
        start = (self.kernel_size - 1) // 2
        return q[:, :, start :: self.stride, start :: self.stride]


def per_channel(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One softmax for each channel: q (B, C, H, W), k and v (B, C, >= H, >= W, k, k) in windows.

    An even window has one place more than the map along each axis, which is left out.
    """
    height, width = q.shape[2:]
    k, v = (t[:, :, :height, :width].flatten(4) for t in (k, v))
    logits = widened(q)[..., None] * k
    return (logits.softmax(4).to(v.dtype) * v).sum(4)


class PerChannel(nn.Module):
    """leaderj1001/Stand-Alone-Self-Attention: (B, C_in, H, W) -> (B, C, H / s, W / s).

    Args:
        inputs, outputs: C_in and C.
        kernel_size: k, odd.
        num_heads: without effect, but it must divide the channels of the output.
        stride: s, by average pooling.
        ceil_mode: pooling rounds odd sizes up.
        bias: of q, k and v.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel_size: int,
        num_heads: int | None,
        stride: int,
        ceil_mode: bool,
        bias: bool,
        **dd: Any,
    ) -> None:
        super().__init__()
        require_odd(kernel_size)
        self.num_heads = heads_of_both(outputs, outputs, num_heads)
        self.kernel_size, self.padding = kernel_size, kernel_size // 2
        self.query = nn.Conv2d(inputs, outputs, 1, bias=bias, **dd)
        self.key = nn.Conv2d(inputs, outputs, 1, bias=bias, **dd)
        self.value = nn.Conv2d(inputs, outputs, 1, bias=bias, **dd)
        half = outputs // 2
        self.rel_h = nn.Parameter(torch.randn(half, kernel_size, **dd))
        self.rel_w = nn.Parameter(torch.randn(outputs - half, kernel_size, **dd))
        self.down = down_pool(stride, ceil_mode)

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (self.padding,) * 4)
        k, v = self.key(padded), self.value(padded)
        k, v = windows(k, self.kernel_size), windows(v, self.kernel_size)
        k = k + offsets(self.rel_h, self.rel_w)[:, None, None]
        return self.down(per_channel(self.query(x), k, v))


class Stem(nn.Module):
    """The port's stem: `PerChannel` without r, whose values are a mixture.

    Args:
        inputs, outputs, num_heads, stride, ceil_mode, bias: as in `PerChannel`.
        kernel_size: k, odd or even.
        mixtures: m.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel_size: int,
        num_heads: int | None,
        stride: int,
        ceil_mode: bool,
        bias: bool,
        mixtures: int,
        **dd: Any,
    ) -> None:
        super().__init__()
        self.num_heads = heads_of_both(outputs, outputs, num_heads)
        self.kernel_size, self.padding = kernel_size, kernel_size // 2
        self.query = nn.Conv2d(inputs, outputs, 1, bias=bias, **dd)
        self.key = nn.Conv2d(inputs, outputs, 1, bias=bias, **dd)
        self.value = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 1, bias=bias, **dd) for _ in range(mixtures)
        )
        width = outputs // self.num_heads
        self.emb_a = nn.Parameter(torch.randn(width, kernel_size, **dd))
        self.emb_b = nn.Parameter(torch.randn(width, kernel_size, **dd))
        self.emb_mix = nn.Parameter(torch.randn(mixtures, width, **dd))
        self.down = down_pool(stride, ceil_mode)

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (self.padding,) * 4)
        k = windows(self.key(padded), self.kernel_size)
        return self.down(per_channel(self.query(x), k, self._mixture(padded)))

    def _mixture(self, padded: Tensor) -> Tensor:
        """Values in windows: m transforms, mixed by the place in the window."""
        places = self.emb_a[:, :, None] + self.emb_b[:, None, :]
        shares = torch.einsum("mc,cij->mij", self.emb_mix, places).softmax(0)
        mixed = [
            windows(value(padded), self.kernel_size) * share
            for value, share in zip(self.value, shares, strict=True)
        ]
        return torch.stack(mixed).sum(0)
