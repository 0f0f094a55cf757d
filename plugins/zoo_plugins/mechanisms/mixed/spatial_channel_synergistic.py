"""SCSA, spatial and channel synergistic attention (Si et al., Neurocomputing 2025).

arXiv 2407.05128. Shareable multi-semantic spatial attention (SMSA), then progressive channel-wise
self-attention (PCSA):

    a_h = sigmoid(GN_h([conv_k(s_k) for k in 3, 5, 7, 9]))        (B, C, H)
    a_w = the same of mean_h(x), by the same convolutions, GN_w   (B, C, W)
    x' = x * a_h * a_w
    p = GN_1(pool(x')),   q, k, v = w_q p, w_k p, w_v p           (B, heads, C / heads, N)
    c = sigmoid(mean_n(softmax(q k^T / sqrt(C / heads)) v))       (B, C, 1, 1)
    y = x' * c

x, y: (B, C, H, W). s = mean_w(x), its channels in four equal parts s_k. The convolutions are
depthwise, along the strip; w_q, w_k, w_v are one number a channel. The softmax is over the channels
of a head, so that the N pooled positions are the features. pool: a window of `window_size` with
that stride; the rest of a row or column is dropped.

The mean over positions is taken of v, before the product, which gives the same. The authors' code
fails on maps smaller than the window; here the window ends with the map. Their mode "recombination"
calls what does not exist and is left out. Parameter names are the authors'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from timm.layers import register_notrace_function
from torch import Tensor, nn

from zoo.sdk import DropRate, OddInt, PositiveInt, check_divisible, refuse, zero_

NAME = "spatial_channel_synergistic"
Kernels = tuple[OddInt, OddInt, OddInt, OddInt]


class SpatialChannelSynergistic(nn.Module):
    """(B, C, H, W) -> the same shape.

    Args:
        channels: C, a multiple of 4.
        num_heads: a divisor of C, 8.
        window_size: of the pooling, 7; -1 pools the whole map.
        kernel_sizes: of the four convolutions, odd.
        qkv_bias: whether q, k and v have biases.
        pool_type: `avg` or `max`.
        gate: `sigmoid`, or `softmax` over the strip and over the channels.
        attn_drop: dropout of the attention weights.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_heads: PositiveInt = 8,
        window_size: Literal[-1] | PositiveInt = 7,
        kernel_sizes: Kernels = (3, 5, 7, 9),
        qkv_bias: bool = False,
        pool_type: Literal["avg", "max"] = "avg",
        gate: Literal["sigmoid", "softmax"] = "sigmoid",
        attn_drop: DropRate = 0.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_divisible(NAME, "channels", channels, "the number of kernels", 4)
        check_divisible(NAME, "channels", channels, "num_heads", num_heads)
        self.num_heads, self.window_size = num_heads, window_size
        self.pool_type, self.gate = pool_type, gate
        dd: Any = {"device": device, "dtype": dtype}
        strips = [_depthwise(channels // 4, k, dd) for k in kernel_sizes]
        self.local_dwc, self.global_dwc_s, self.global_dwc_m, self.global_dwc_l = strips
        self.norm_h, self.norm_w = (nn.GroupNorm(4, channels, **dd) for _ in range(2))
        self.norm = nn.GroupNorm(1, channels, **dd)
        scale: Any = {"kernel_size": 1, "groups": channels, "bias": qkv_bias, **dd}
        self.q, self.k, self.v = (nn.Conv2d(channels, channels, **scale) for _ in range(3))
        self.attn_drop = nn.Dropout(attn_drop)

    def forward(self, x: Tensor) -> Tensor:
        rows = self._gate(self.norm_h(self._strip(x.mean(3))), 2)
        columns = self._gate(self.norm_w(self._strip(x.mean(2))), 2)
        x = x * rows.unsqueeze(3) * columns.unsqueeze(2)
        return x * self.channel_gate(x)

    def _strip(self, strip: Tensor) -> Tensor:
        """(B, C, length) -> the same shape: a quarter of the channels by each convolution."""
        first, second, third, fourth = strip.chunk(4, 1)
        near, small = self.local_dwc(first), self.global_dwc_s(second)
        return torch.cat((near, small, self.global_dwc_m(third), self.global_dwc_l(fourth)), 1)

    def channel_gate(self, x: Tensor) -> Tensor:
        """(B, C, 1, 1)."""
        pooled = self.norm(_pool(x, self.window_size, self.pool_type))
        q, k = self._heads(self.q(pooled)), self._heads(self.k(pooled))
        v = self._heads(self.v(pooled)).mean(3, keepdim=True)
        weights = torch.softmax(q @ k.transpose(2, 3) * q.shape[2] ** -0.5, 3)
        context = self.attn_drop(weights) @ v
        return self._gate(context.flatten(1, 2).unsqueeze(3), 1)

    def _heads(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, heads, C / heads, h w)."""
        return x.flatten(2).unflatten(1, (self.num_heads, -1))

    def _gate(self, logits: Tensor, dim: int) -> Tensor:
        return torch.softmax(logits, dim) if self.gate == "softmax" else torch.sigmoid(logits)

    def init_identity(self) -> float:
        """Start as 0.125 x by norms of the strips and values of zero; returns 0.125.

        What is before them learns from the second step.

        Raises:
            OptionError: with `gate="softmax"`, whose constant depends on the size of the map.
        """
        if self.gate == "softmax":
            refuse(NAME, "gate='softmax' cannot start as c x", 'insertion="residual"')
        zero_(self.norm_h, self.norm_w, self.v)
        return 0.125


def _depthwise(channels: int, size: int, dd: dict[str, Any]) -> nn.Conv1d:
    return nn.Conv1d(channels, channels, size, padding=size // 2, groups=channels, **dd)


@register_notrace_function
def _pool(x: Tensor, window: int, kind: str) -> Tensor:
    """(B, C, H, W) -> (B, C, h, w)."""
    height, width = int(x.shape[2]), int(x.shape[3])
    if window > 0:  # else the whole map
        height, width = min(window, height), min(window, width)
    size = (height, width)
    return F.max_pool2d(x, size) if kind == "max" else F.avg_pool2d(x, size)


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The authors' names of the poolings, `avg_pool` and `max_pool`."""
    found = dict(options)
    if "down_sample_mode" in found:
        found["pool_type"] = found.pop("down_sample_mode").removesuffix("_pool")
    return found
