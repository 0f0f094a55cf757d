"""Receptive-field attention convolutions (Zhang et al., RFAConv, 2023, arXiv 2304.03198).

    f = relu(BN(conv_kxk(x)))                     features of each window, k^2 for each channel
    a = softmax over the window of conv1x1(avgpool_kxk(x))
    y = conv(a * f)                               over the k^2 positions of the window    (RFAConv)

x: (B, C_in, H, W); f, a: (B, C_in k^2, H', W'); y: (B, C, H', W'), H' = ceil(H / stride).
Both first convolutions are of each channel by itself. The average counts the zeros around
the map. It takes the place of a convolution. `variant`:

- `rfa`: as above.
- `rfa_unfold`: f are the pixels of the window themselves, and a comes of them:
  softmax(BN(conv1x1(f))). The authors tried it and dropped it; in their `model.py` of 2023-10-11
  it has the same class name and hides the other. Stride 1 alone.
- `rfca`: coordinate attention on the features (`receptive_coordinate.py`).
- `rfcbam`: channel and spatial attention on the features (`receptive_cbam.py`).

In the authors' ResNets a batch norm and ReLU of the block follow; elsewhere their module ends with
its own (`final_norm_act=True`). Parameter names are the authors',
but that the norm of `rfa_unfold` is `conv.1`, as in the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveFloat, PositiveInt, bottleneck_width, refuse
from zoo_plugins.mechanisms.large_kernel.receptive_cbam import ReceptiveCbam
from zoo_plugins.mechanisms.large_kernel.receptive_coordinate import ReceptiveCoordinate
from zoo_plugins.mechanisms.large_kernel.receptive_parts import (
    WindowConv,
    generator,
    window_softmax,
)

NAME = "receptive_field"


def receptive_field(
    channels: int,
    *,
    in_channels: PositiveInt | None = None,
    variant: Literal["rfa", "rfa_unfold", "rfca", "rfcbam"] = "rfa",
    kernel_size: OddInt = 3,
    stride: PositiveInt = 1,
    dilation: PositiveInt = 1,
    reduction: PositiveFloat | None = None,
    reduced_channels: PositiveInt | None = None,
    final_norm_act: bool | None = None,
    device: Any = None,
    dtype: Any = None,
) -> nn.Module:
    """A convolution that weighs each position of its window: (B, C_in, H, W) -> (B, C, H', W').

    Args:
        channels: C, of the output.
        in_channels: C_in, by default C.
        variant: `rfa`, `rfa_unfold`, `rfca` or `rfcbam`.
        kernel_size: k, odd, 3.
        stride: 1; of `rfa_unfold` no other.
        dilation: of the kernel that makes the features, 1; of `rfcbam` alone.
        reduction: C_in over the hidden width of the gate of `rfca`, 32, or of `rfcbam`; at least 8
            channels.
        reduced_channels: that width itself; in `rfcbam` by default 16, whatever C_in is.
        final_norm_act: batch norm and ReLU at the end; by default of `rfa_unfold` alone.
    """
    inputs, dd = in_channels or channels, {"device": device, "dtype": dtype}
    if dilation != 1 and variant != "rfcbam":
        refuse(NAME, f"{variant} has no dilation={dilation}", 'variant="rfcbam"')
    if stride != 1 and variant == "rfa_unfold":
        refuse(NAME, f"rfa_unfold has no stride={stride}", 'variant="rfa"')
    if variant == "rfa_unfold":
        return UnfoldedField(inputs, channels, kernel_size, final_norm_act is not False, dd)
    end = bool(final_norm_act)
    if variant == "rfa":
        return ReceptiveField(inputs, channels, kernel_size, stride, end, dd)
    if variant == "rfca":
        width = bottleneck_width(inputs, reduction or 32, reduced_channels, minimum=8)
        return ReceptiveCoordinate(inputs, channels, kernel_size, stride, width, end, dd)
    hidden = 16 if reduction is None and reduced_channels is None else reduced_channels
    width = bottleneck_width(inputs, reduction or 1, hidden, minimum=8)
    return ReceptiveCbam(inputs, channels, kernel_size, stride, dilation, width, end, dd)


class ReceptiveField(nn.Module):
    """RFAConv: (B, C_in, H, W) -> (B, C, H', W')."""

    def __init__(
        self, inputs: int, channels: int, kernel_size: int, stride: int, norm_act: bool, dd: Any
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        taps = inputs * kernel_size**2
        self.get_weight = nn.Sequential(
            nn.AvgPool2d(kernel_size, stride, kernel_size // 2),
            nn.Conv2d(inputs, taps, 1, groups=inputs, bias=False, **dd),
        )
        self.generate_feature = generator(inputs, kernel_size, stride, 1, dd)
        self.conv = WindowConv(inputs, channels, kernel_size, norm_act, dd)

    def forward(self, x: Tensor) -> Tensor:
        weight = window_softmax(self.get_weight(x), self.kernel_size)
        return self.conv(self.generate_feature(x) * weight)


class UnfoldedField(nn.Module):
    """RFAConv of the pixels themselves: (B, C_in, H, W) -> (B, C, H, W)."""

    def __init__(
        self, inputs: int, channels: int, kernel_size: int, norm_act: bool, dd: Any
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        taps = inputs * kernel_size**2
        self.get_weights = nn.Sequential(
            nn.Conv2d(taps, taps, 1, groups=inputs, **dd), nn.BatchNorm2d(taps, **dd)
        )
        self.conv = WindowConv(inputs, channels, kernel_size, norm_act, dd)

    def forward(self, x: Tensor) -> Tensor:
        size = self.kernel_size
        pixels = F.unfold(x, size, padding=size // 2).unflatten(2, x.shape[2:])
        return self.conv(pixels * window_softmax(self.get_weights(pixels), size))


def inputs_of(options: Mapping[str, Any]) -> int:
    """C_in, which a reduction is of."""
    return options.get("in_channels") or options["channels"]
