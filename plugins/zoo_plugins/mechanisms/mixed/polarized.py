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

from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk.identity import zero_
from zoo.sdk.options import agree, check_bool, check_choice, check_int, refuse

VARIANTS = ("official", "paper")


class _Polarized(nn.Module):
    """The five convolutions and the channel branch of both layouts."""

    def __init__(
        self,
        name: str,
        channels: int,
        inter_channels: int | None,
        layer_norm: bool,
        bias: bool,
        ln_ratio: int | None,
        variant: str,
        dd: dict[str, Any],
    ) -> None:
        super().__init__()
        self.variant = check_choice(name, "variant", variant, VARIANTS)
        channels = check_int(name, "channels", channels)
        default = max(1, channels // 2)
        inner = default if inter_channels is None else inter_channels
        inner = check_int(name, "inter_channels", inner)
        self.conv_q_right = nn.Conv2d(channels, 1, 1, bias=False, **dd)
        self.conv_v_right = nn.Conv2d(channels, inner, 1, bias=False, **dd)
        bias = check_bool(name, "bias", bias)
        if variant == "paper":
            agree(name, variant=(variant, None), ln_ratio=ln_ratio)
            if not check_bool(name, "layer_norm", layer_norm):
                refuse(name, "variant='paper' has a layer norm", "variant='official'")
            self.conv_up = _normed_up(inner, channels, bias, dd)
        else:
            self.conv_up = _up(name, inner, channels, layer_norm, bias, ln_ratio, dd)
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
    """(B, C, H, W) -> the same shape: the sum of a channel-gated and a position-gated map.

    Args:
        channels: C.
        inter_channels: inner width, C // 2.
        variant: `official` (the authors' code) or `paper`, as above.
        layer_norm: U as a bottleneck with layer norm; False here. In `paper` it must be True.
        bias: of U, False here.
        ln_ratio: inner width over the bottleneck's, 4; only with layer_norm, not in `paper`.
        act_layer: not used (timm's builders hand one to every attention).
    """

    def __init__(
        self,
        channels: int,
        *,
        inter_channels: int | None = None,
        variant: str = "official",
        layer_norm: bool | None = None,
        bias: bool = False,
        ln_ratio: int | None = None,
        act_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        dd = {"device": device, "dtype": dtype}
        name = "polarized_parallel"
        norm = variant == "paper" if layer_norm is None else layer_norm
        super().__init__(name, channels, inter_channels, norm, bias, ln_ratio, variant, dd)

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.position_gate(x) + self.channel_gate(x))


class PolarizedSequential(_Polarized):
    """(B, C, H, W) -> the same shape: the channel gate, then the spatial gate.

    Args:
        channels, inter_channels, act_layer: as in `PolarizedParallel`.
        layer_norm, bias: True here; in `paper` U has no bias unless given. ln_ratio: 4.
    """

    def __init__(
        self,
        channels: int,
        *,
        inter_channels: int | None = None,
        variant: str = "official",
        layer_norm: bool = True,
        bias: bool | None = None,
        ln_ratio: int | None = None,
        act_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        dd = {"device": device, "dtype": dtype}
        name = "polarized_sequential"
        bias = variant != "paper" if bias is None else bias
        super().__init__(name, channels, inter_channels, layer_norm, bias, ln_ratio, variant, dd)

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


def _normed_up(inner: int, channels: int, bias: bool, dd: dict[str, Any]) -> nn.Sequential:
    """The paper's U."""
    conv = nn.Conv2d(inner, channels, 1, bias=bias, **dd)
    return nn.Sequential(conv, nn.LayerNorm([channels, 1, 1], **dd))


def _up(
    name: str,
    inner: int,
    channels: int,
    layer_norm: bool,
    bias: bool,
    ln_ratio: int | None,
    dd: dict[str, Any],
) -> nn.Module:
    if not check_bool(name, "layer_norm", layer_norm):
        agree(name, layer_norm=(layer_norm, None), ln_ratio=ln_ratio)
        return nn.Conv2d(inner, channels, 1, bias=bias, **dd)
    width = inner // check_int(name, "ln_ratio", 4 if ln_ratio is None else ln_ratio)
    if not width:
        refuse(name, f"ln_ratio={ln_ratio or 4} leaves nothing of inter_channels={inner}")
    return nn.Sequential(
        nn.Conv2d(inner, width, 1, bias=bias, **dd),
        nn.LayerNorm([width, 1, 1], **dd),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, channels, 1, bias=bias, **dd),
    )
