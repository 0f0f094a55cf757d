"""CBAM (Woo et al., ECCV 2018, arXiv 1807.06521, section 3), and its two gates on their own.

    channel: x' = x  * sigmoid(MLP(mean_hw(x)) + MLP(max_hw(x)))         (eq. 2)
    spatial: y  = x' * sigmoid(BN(conv7x7([max_c(x'); mean_c(x')])))     (eq. 3)

x, y: (B, C, H, W); MLP: C -> C/r -> C with ReLU, shared by both poolings. As in the authors' code:
the MLP has biases, the maximum comes before the mean (timm: after), and a batch norm that the paper
does not mention ends the spatial gate. `variant="paper"` has neither biases nor that norm.
Parameter names are timm's (`channel.fc1`, `channel.fc2`, `spatial.conv.conv`, `spatial.conv.bn`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from timm.layers import create_act_layer, register_notrace_function
from torch import Tensor, nn

from zoo.sdk import (
    OddInt,
    PositiveFloat,
    PositiveInt,
    bottleneck_width,
    pair_hidden_units_,
    refuse,
    zero_,
)
from zoo.sdk.fused import (
    channel_max_mean,
    gate_channels,
    gate_positions,
    in_use,
    position_mean_max,
)

Pool = Literal["avg", "max", "lp", "lse"]


class ChannelGate(nn.Module):
    """Channel half of CBAM: (B, C, H, W) -> the same shape.

    Args:
        channels: C.
        reduction: r, 16 as in the paper.
        reduced_channels: the width of the hidden layer itself, instead of C / r.
        pool_types: of `avg`, `max`, `lp` (root of the sum of squares) and `lse` (log-sum-exp).
        bias: of the MLP; True in the authors' code, False in the paper's equation.
        act_layer: of the MLP.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 16,
        reduced_channels: PositiveInt | None = None,
        pool_types: Sequence[Pool] = ("avg", "max"),
        bias: bool = True,
        act_layer: Any = nn.ReLU,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        width = bottleneck_width(channels, reduction, reduced_channels)
        if not pool_types or len(set(pool_types)) != len(pool_types):
            refuse("cbam", f"pool_types={pool_types!r} must name one pooling, and none twice")
        self.pool_types = [str(kind) for kind in pool_types]
        self.fc1 = nn.Conv2d(channels, width, 1, bias=bias, device=device, dtype=dtype)
        self.act = create_act_layer(act_layer, inplace=True) or nn.Identity()
        self.fc2 = nn.Conv2d(width, channels, 1, bias=bias, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        return gate_channels(x, self.weight(x))

    def weight(self, x: Tensor) -> Tensor:
        """The gate itself, (B, C, 1, 1)."""
        pooled = torch.cat(_pools(x, self.pool_types))  # one batch of them all
        scale = self.fc2(self.act(self.fc1(pooled.unsqueeze(2).unsqueeze(3))))
        return torch.sigmoid(scale.unflatten(0, (len(self.pool_types), -1)).sum(0))

    def init_identity(self) -> float:
        """Start as 0.5 x, every parameter learning from the first step; returns 0.5."""
        pair_hidden_units_(self.fc1, self.fc2)
        return 0.5


class ConvNorm(nn.Module):
    """The spatial gate's convolution: two planes to one, then batch norm (or none)."""

    def __init__(self, kernel_size: int, norm: bool, device: Any, dtype: Any) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False, **dd)
        self.bn = nn.BatchNorm2d(1, momentum=0.01, **dd) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class SpatialGate(nn.Module):
    """Spatial half of CBAM: (B, C, H, W) -> the same shape.

    Args:
        channels: C; nothing depends on it.
        kernel_size: odd, 7 in the paper.
        norm: `batch` as in the authors' code, or `none` as in the paper.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: OddInt = 7,
        norm: Literal["batch", "none"] = "batch",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.conv = ConvNorm(kernel_size, norm == "batch", device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return gate_positions(x, torch.sigmoid(self.conv(_planes(x))))

    def init_identity(self) -> float:
        """Start as 0.5 x by the norm's scale (without a norm: the kernel) at zero; returns 0.5."""
        zero_(self.conv.bn if isinstance(self.conv.bn, nn.BatchNorm2d) else self.conv.conv)
        return 0.5


class Cbam(nn.Module):
    """Channel gate, then spatial gate: (B, C, H, W) -> the same shape.

    Args:
        channels: C.
        spatial: False leaves the spatial gate out.
        kernel_size: of the spatial gate, odd, 7.
        variant: `official` (the authors' code) or `paper` (no biases, no batch norm).
        bias: of the channel gate, by default as the variant has it.
        reduction, reduced_channels, pool_types, act_layer: as in `ChannelGate`.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 16,
        reduced_channels: PositiveInt | None = None,
        pool_types: Sequence[Pool] = ("avg", "max"),
        bias: bool | None = None,
        spatial: bool = True,
        kernel_size: OddInt = 7,
        variant: Literal["official", "paper"] = "official",
        act_layer: Any = nn.ReLU,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        official = variant == "official"
        self.channel = ChannelGate(
            channels,
            reduction=reduction,
            reduced_channels=reduced_channels,
            pool_types=pool_types,
            bias=official if bias is None else bias,
            act_layer=act_layer,
            **dd,
        )
        norm: Any = "batch" if official else "none"
        gate = SpatialGate(channels, kernel_size=kernel_size, norm=norm, **dd)
        self.spatial = gate if spatial else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.spatial(self.channel(x))

    def init_identity(self) -> float:
        """Start as c * x; returns c, 0.25, or 0.5 without the spatial gate."""
        gate = self.channel.init_identity()
        if isinstance(self.spatial, SpatialGate):
            gate *= self.spatial.init_identity()
        return gate


def _planes(x: Tensor) -> Tensor:
    """Maximum and mean over the channels: (B, C, H, W) -> (B, 2, H, W)."""
    if in_use(x):
        return channel_max_mean(x)
    return torch.cat([channel_max(x), x.mean(1, keepdim=True)], 1)


def _pools(x: Tensor, kinds: list[str]) -> list[Tensor]:
    """(B, C, H, W) -> (B, C) for each kind."""
    if kinds == ["avg", "max"] and in_use(x):
        mean, most = position_mean_max(x)  # of one pass over the map
        return [mean, most]
    return [_pool(x, kind) for kind in kinds]


def _pool(x: Tensor, kind: str) -> Tensor:
    """(B, C, H, W) -> (B, C)."""
    if kind == "avg":
        return x.mean((2, 3))
    if kind == "max":
        return spatial_max(x)
    if kind == "lp":
        return torch.linalg.vector_norm(x, 2.0, [2, 3])
    return torch.logsumexp(x, [2, 3])


# A maximum whose gradient goes to one position, as the authors'; amax would spread it over ties.
@register_notrace_function
def channel_max(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, 1, H, W)."""
    learns = x.requires_grad and not torch.jit.is_tracing()  # a trace must be the same either way
    return torch.max(x, 1, keepdim=True).values if learns else torch.amax(x, 1, True)


@register_notrace_function
def spatial_max(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C)."""
    if torch.jit.is_tracing() or not x.requires_grad:
        return torch.amax(x, [2, 3])
    if x.is_cuda:  # where adaptive pooling to one position runs on one thread
        return torch.max(torch.flatten(x, 2), 2).values
    return F.adaptive_max_pool2d(x, 1).flatten(1)
