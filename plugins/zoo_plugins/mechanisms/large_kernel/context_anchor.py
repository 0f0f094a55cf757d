"""Context anchor attention, CAA (Cai et al., CVPR 2024, arXiv 2403.06258, section 3.3).

    A(x) = sigmoid(conv1x1(DW_v(DW_h(conv1x1(avgpool7x7(x))))))
    y = x * A(x)

x, y, A: (B, C, H, W). The pooling has stride 1 and counts the zeros around the map; DW_h and DW_v
are depthwise strips (1, k_h) and (k_v, 1) with biases. In the authors' network the 1x1 convolutions
have biases, and neither norm nor activation, although their class has a batch norm and SiLU after
both by default (`norm="batch", activation="silu"`; a convolution with a norm has no bias). That
network computes A from one map and multiplies another by it: `variant="bottleneck"`.

    u = pre(x)                                            1x1 convolution, batch norm, SiLU
    v = pw(DW_0(u) + sum_i DW_i(DW_0(u)))                 depthwise 3, 5, 7, 9, 11, then as pre
    y = post(v + v * A(u))                                as pre

Parameter names are the authors', with `dw_convs.0` for their `dw_conv1`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveFloat, refuse, zero_
from zoo_plugins.mechanisms.large_kernel.conv_layer import ConvLayer

NAME = "context_anchor"


def context_anchor(
    channels: int,
    *,
    variant: Literal["caa", "bottleneck"] = "caa",
    kernel_size: OddInt | Sequence[OddInt] = 11,
    kernel_sizes: Sequence[OddInt] = (3, 5, 7, 9, 11),
    norm: Literal["batch", "none"] | None = None,
    norm_eps: PositiveFloat | None = None,
    activation: Literal["silu", "none"] | None = None,
    device: Any = None,
    dtype: Any = None,
) -> nn.Module:
    """Context anchor attention alone, or in the bottleneck of the authors' network.

    Args:
        channels: C.
        variant: `caa`, a gate on its own map, or `bottleneck`.
        kernel_size: of the strips, one number or (k_h, k_v), odd. Block i of a stage of the
            authors' network has 11 + 2 i.
        kernel_sizes: of the depthwise convolutions of the bottleneck, odd; the first one comes
            before the others.
        norm: `batch` or `none`, of the 1x1 convolutions. By default none in `caa`, as in the
            network, and batch norm in `bottleneck`, whose gate never has any.
        norm_eps: of the batch norm, by default 1e-3 as in the authors' code.
        activation: `silu` or `none`, where the norm is; the default is as for the norm.
    """
    sides = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
    if len(sides) != 2:
        refuse(NAME, f"kernel_size={kernel_size!r} is not one number or two")
    default = ("batch", "silu") if variant == "bottleneck" else ("none", "none")
    style: Any = {
        "norm_eps": (norm_eps or 1e-3) if (norm or default[0]) == "batch" else None,
        "act": (activation or default[1]) == "silu",
        "device": device,
        "dtype": dtype,
    }
    if variant == "caa":
        return ContextAnchor(channels, (sides[0], sides[1]), **style)
    return PolyKernelBottleneck(channels, (sides[0], sides[1]), kernel_sizes, **style)


class ContextAnchor(nn.Module):
    """(B, C, H, W) -> the same shape, scaled by the context of a long row and a long column."""

    def __init__(
        self,
        channels: int,
        sides: tuple[int, int],
        norm_eps: float | None = None,
        act: bool = False,
        **dd: Any,
    ) -> None:
        super().__init__()
        style: Any = {"norm_eps": norm_eps, "act": act, **dd}
        self.avg_pool = nn.AvgPool2d(7, 1, 3)
        self.conv1 = ConvLayer(channels, **style)
        self.h_conv = ConvLayer(channels, (1, sides[0]), groups=channels, **dd)
        self.v_conv = ConvLayer(channels, (sides[1], 1), groups=channels, **dd)
        self.conv2 = ConvLayer(channels, **style)

    def attention(self, x: Tensor) -> Tensor:
        """A(x), (B, C, H, W)."""
        context = self.v_conv(self.h_conv(self.conv1(self.avg_pool(x))))
        return torch.sigmoid(self.conv2(context))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)

    def init_identity(self) -> float:
        """Start as 0.5 x by a zero last layer; what is before it learns from step two."""
        norm = self.conv2.bn
        zero_(norm if isinstance(norm, nn.BatchNorm2d) else self.conv2.conv)
        return 0.5


class PolyKernelBottleneck(nn.Module):
    """(B, C, H, W) -> the same shape: kernels of many sizes, gated by context anchor attention."""

    def __init__(
        self,
        channels: int,
        sides: tuple[int, int],
        kernel_sizes: Sequence[int],
        norm_eps: float | None,
        act: bool,
        **dd: Any,
    ) -> None:
        super().__init__()
        if not kernel_sizes:
            refuse(NAME, "kernel_sizes is empty")
        style: Any = {"norm_eps": norm_eps, "act": act, **dd}
        self.pre_conv = ConvLayer(channels, **style)
        self.dw_conv = ConvLayer(channels, kernel_sizes[0], groups=channels, **dd)
        self.dw_convs = nn.ModuleList(
            ConvLayer(channels, size, groups=channels, **dd) for size in kernel_sizes[1:]
        )
        self.pw_conv = ConvLayer(channels, **style)
        self.caa_factor = ContextAnchor(channels, sides, **dd)
        self.post_conv = ConvLayer(channels, **style)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pre_conv(x)
        first = mixed = self.dw_conv(x)
        for conv in self.dw_convs:
            mixed = mixed + conv(first)
        mixed = self.pw_conv(mixed)
        return self.post_conv(mixed + mixed * self.caa_factor.attention(x))

    def init_identity(self) -> float:
        """Refused: what comes out has passed three convolutions with SiLU."""
        remedy = 'create_model(..., insertion="residual")'
        refuse(NAME, "the bottleneck cannot start as c x", remedy)


def reference_call(module: nn.Module, x: Tensor) -> Any:
    """What a reference case records: of the gate alone, its map too."""
    if isinstance(module, ContextAnchor):
        attention = module.attention(x)
        return {"y": x * attention, "attention": attention}
    return module(x)
