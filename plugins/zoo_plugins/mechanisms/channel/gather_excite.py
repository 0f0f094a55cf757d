"""Gather-excite (Hu, Shen, Albanie, Sun, Vedaldi, NeurIPS 2018, arXiv 1810.12348, sections 2-4).

    y = x * sigmoid(resize(g(x)))        resize: nearest neighbour, to the size of x

    theta_minus   g = mean over an extent of e (0: of the whole map)          no parameters
    theta         g = BN(depthwise convolution), of the whole map or, for an extent of 2^n, n
                  depthwise 3x3 convolutions of stride 2, each with a norm, ReLU between them
    theta_plus    g = W2 relu(W1 relu(what theta has))                        W1: (C/r, C)

x, y: (B, C, H, W). theta_minus with an extent of e averages over 2e - 1 positions around every
e-th, without the padding. With parameters, the whole map's kernel ties the module to one map size.
timm 1.0.31's layer is not used: with its default MLP, and with parameters, it raises.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import Count, PositiveFloat, PositiveInt, Size, bottleneck_width, refuse
from zoo.sdk.map_size import as_pair, require_size

NAME = "gather_excite"


class GatherExcite(nn.Module):
    """(B, C, H, W) -> the same shape, scaled by a gate in (0, 1).

    Args:
        channels: C.
        variant: `theta_minus` (no parameters), `theta` or `theta_plus`, as above.
        extent: e; 0 is the whole map. With parameters it must be 0 or a power of 2.
        feat_size: (H, W) of the map, needed by `theta` and `theta_plus` with extent 0.
        reduction: r of theta_plus, 16.
        reduced_channels: the width of its hidden layer itself, instead of C / r.
        bias: of theta's convolutions (False) or of theta_plus's two last (True).
        norm: `batch`, after the convolutions, or `none`.
    """

    def __init__(
        self,
        channels: int,
        *,
        variant: Literal["theta_minus", "theta", "theta_plus"] = "theta_minus",
        extent: Count = 0,
        feat_size: Size | None = None,
        reduction: PositiveFloat = 16,
        reduced_channels: PositiveInt | None = None,
        bias: bool | None = None,
        norm: Literal["batch", "none"] = "batch",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.variant, self.extent = variant, extent
        self.feat_size = self.gather = self.excite = None
        if variant == "theta_minus":
            if bias:
                refuse(NAME, "bias=True: variant='theta_minus' has no parameters")
            return
        if extent == 0:
            if feat_size is None:
                refuse(NAME, f"variant={variant!r} needs the size of the map", "feat_size=(H, W)")
            self.feat_size = as_pair(feat_size)
        dd: Any = {"device": device, "dtype": dtype}
        plus = variant == "theta_plus"
        own_bias = bool(bias) and not plus
        self.gather = _gather(channels, extent, self.feat_size, own_bias, norm == "batch", dd)
        if plus:
            width = bottleneck_width(channels, reduction, reduced_channels)
            fc1 = nn.Conv2d(channels, width, 1, bias=bias is not False, **dd)
            fc2 = nn.Conv2d(width, channels, 1, bias=bias is not False, **dd)
            self.excite = nn.Sequential(nn.ReLU(), fc1, nn.ReLU(), fc2)

    @property
    def any_size(self) -> bool:
        """Whether maps may have another size than `feat_size`."""
        return self.feat_size is None

    def forward(self, x: Tensor) -> Tensor:
        if self.gather is None:
            gathered = _means(x, self.extent)
        else:
            if self.feat_size is not None:
                require_size(NAME, x, self.feat_size)
            gathered = self.gather(x)
            if self.excite is not None:
                gathered = self.excite(gathered)
        gate = torch.sigmoid(gathered)
        if self.extent > 0:
            gate = F.interpolate(gate, x.shape[2:])
        return x * gate


def _means(x: Tensor, extent: int) -> Tensor:
    if extent == 0:
        return x.mean((2, 3), keepdim=True)
    return F.avg_pool2d(x, 2 * extent - 1, extent, extent - 1, count_include_pad=False)


def _gather(
    channels: int, extent: int, size: tuple[int, int] | None, bias: bool, norm: bool, dd: Any
) -> nn.Sequential:
    """One convolution of the whole map (`size`), or one 3x3 of stride 2 for each halving."""
    if size is None and (extent < 2 or extent & (extent - 1)):
        refuse(NAME, f"extent={extent} is neither 0 nor a power of 2, as parameters need")
    kernel, stride, padding = ((3, 3), 2, 1) if size is None else (size, 1, 0)
    layers: list[nn.Module] = []
    for i in range(max(1, extent.bit_length() - 1)):
        layers += [nn.ReLU()] if i else []
        conv: Any = {"groups": channels, "bias": bias, **dd}
        layers.append(nn.Conv2d(channels, channels, kernel, stride, padding, **conv))
        layers += [nn.BatchNorm2d(channels, **dd)] if norm else []
    return nn.Sequential(*layers)
