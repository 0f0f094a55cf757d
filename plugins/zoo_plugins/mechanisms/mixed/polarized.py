"""Polarized self-attention (Liu et al., arXiv 2107.00782, section 3), parallel and sequential.

With V, Q: C -> C/2 and q: C -> 1 convolutions of kernel 1, all without bias:

    channel:     x * sigmoid(U (sum_n softmax_n(q x)_n V x_n))
    spatial      x * sigmoid(softmax_c(mean_n Q x_n) . V' x)          paper: over Q's channels
                 x * sigmoid(softmax_hw((mean_n Q x_n) . V' x))       official, parallel
                 x * sigmoid((mean_n Q x_n) . softmax_hw(V' x))       official, sequential
    parallel = channel(x) + spatial(x),   sequential = spatial(channel(x))

x, y: (B, C, H, W). U: in `paper` a convolution to C and a layer norm over the C channels. In the
authors' code (`official`) one convolution in the parallel layout, and in the sequential one a
bottleneck C/2 -> C/8 -> C with the layer norm inside. V, Q and the sums over positions change
places where they are linear, so that no C/2 map is made but V' in the official sequential layout.
Parameter names are the authors'.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveInt, refuse, zero_


class _Polarized(nn.Module):
    """The five convolutions and the channel branch of both layouts.

    Args:
        channels: C.
        inter_channels: the width of V and Q, C // 2.
        variant: `official` (the authors' code) or `paper`, as above.
        layer_norm: in U; in `paper` always, in `official` by default in the sequential layout
            alone, where it makes U a bottleneck.
        bias: of U; by default in the official sequential layout alone.
        ln_ratio: the width of V over that of the official bottleneck, 4.
    """

    NAME: str
    BOTTLENECK: bool  # whether the authors' U is one, with biases

    def __init__(
        self,
        channels: int,
        *,
        inter_channels: PositiveInt | None = None,
        variant: Literal["official", "paper"] = "official",
        layer_norm: bool | None = None,
        bias: bool | None = None,
        ln_ratio: PositiveInt | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.variant = variant
        official = variant == "official"
        normed = self.BOTTLENECK or not official if layer_norm is None else layer_norm
        biased = self.BOTTLENECK and official if bias is None else bias
        if not (official or normed):
            refuse(self.NAME, "layer_norm=False: variant='paper' has one", "variant='official'")
        if ln_ratio is not None and not (official and normed):
            what = f"ln_ratio={ln_ratio} is of the authors' bottleneck with layer norm"
            refuse(self.NAME, f"{what}, not of {variant=}, layer_norm={normed}")
        inner = inter_channels or max(1, channels // 2)
        dd: Any = {"device": device, "dtype": dtype}
        self.conv_q_right = nn.Conv2d(channels, 1, 1, bias=False, **dd)
        self.conv_v_right = nn.Conv2d(channels, inner, 1, bias=False, **dd)
        if official and normed:
            self.conv_up = _bottleneck(self.NAME, inner, channels, biased, ln_ratio or 4, dd)
        else:
            conv = nn.Conv2d(inner, channels, 1, bias=biased, **dd)
            norm = [nn.LayerNorm([channels, 1, 1], **dd)] if normed else []
            self.conv_up = nn.Sequential(conv, *norm) if norm else conv
        self.conv_q_left = nn.Conv2d(channels, inner, 1, bias=False, **dd)
        self.conv_v_left = nn.Conv2d(channels, inner, 1, bias=False, **dd)
        for name, conv in self.named_children():
            if name != "conv_up":
                nn.init.kaiming_normal_(conv.get_parameter("weight"), nonlinearity="relu")

    def channel_gate(self, x: Tensor) -> Tensor:
        """(B, C, 1, 1): sum_n a_n V x_n = V sum_n a_n x_n."""
        weights = torch.softmax(self.conv_q_right(x).flatten(2), 2)
        context = weights @ x.flatten(2).transpose(1, 2)
        context = self.conv_v_right(context.transpose(1, 2).unsqueeze(3))
        return torch.sigmoid(self.conv_up(context))

    def position_gate(self, x: Tensor) -> Tensor:
        """(B, 1, H, W): a . (V' x) = (V'^T a) . x."""
        query = self.conv_q_left(x.mean((2, 3), keepdim=True)).flatten(1)
        if self.variant == "paper":
            query = torch.softmax(query, 1)
        query = (query @ self.conv_v_left.weight.flatten(1)).unsqueeze(1)
        weights = query @ x.flatten(2)
        if self.variant == "official":
            weights = torch.softmax(weights, 2)
        return torch.sigmoid(weights).unflatten(2, x.shape[2:])


class PolarizedParallel(_Polarized):
    """(B, C, H, W) -> the same shape: the sum of a channel-gated and a position-gated map."""

    NAME = "polarized_parallel"
    BOTTLENECK = False

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.position_gate(x) + self.channel_gate(x))


class PolarizedSequential(_Polarized):
    """(B, C, H, W) -> the same shape: the channel gate, then the spatial gate."""

    NAME = "polarized_sequential"
    BOTTLENECK = True

    def forward(self, x: Tensor) -> Tensor:
        x = x * self.channel_gate(x)
        return x * self.spatial_gate(x)

    def spatial_gate(self, x: Tensor) -> Tensor:
        """(B, 1, H, W)."""
        if self.variant == "paper":
            return self.position_gate(x)
        query = self.conv_q_left(x.mean((2, 3), keepdim=True)).flatten(2).transpose(1, 2)
        weights = torch.softmax(self.conv_v_left(x).flatten(2), 2)
        return torch.sigmoid(query @ weights).unflatten(2, x.shape[2:])

    def init_identity(self) -> float:
        """Start as 0.25 x: the last layer before each gate is zero; returns 0.25."""
        last = self.conv_up[-1] if isinstance(self.conv_up, nn.Sequential) else self.conv_up
        zero_(last, self.conv_v_left if self.variant == "paper" else self.conv_q_left)
        return 0.25


def _bottleneck(
    name: str, inner: int, channels: int, bias: bool, ratio: int, dd: Any
) -> nn.Sequential:
    """U with a layer norm inside."""
    width = inner // ratio
    if not width:
        refuse(name, f"ln_ratio={ratio} leaves nothing of inter_channels={inner}")
    return nn.Sequential(
        nn.Conv2d(inner, width, 1, bias=bias, **dd),
        nn.LayerNorm([width, 1, 1], **dd),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, channels, 1, bias=bias, **dd),
    )
