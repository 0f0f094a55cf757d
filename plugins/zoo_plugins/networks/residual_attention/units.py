"""The residual units that a residual attention network is built from: (B, C, H, W) -> C'.

Any of them can be the network's basic unit (Wang et al., arXiv 1704.06904, section 3.1). A unit is
`Unit(in_channels, channels, stride, groups=, device=, dtype=)`; its shortcut is a 1x1 convolution
where channels or stride change. `preact` says whether what leaves it is still to be normed: then
whatever follows begins with batch norm and ReLU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk.options import check_divisible
from zoo_plugins.networks.residual_attention.options import NAME


class PreActBottleneck(nn.Module):
    """x + W3 a(W2 a(W1 a(x))), a(x) = relu(BN(x)); 1x1, 3x3 (strided), 1x1, of width C' / 4.

    As in the authors' prototxts the projection starts from a(x), not from x.
    """

    preact = True

    def __init__(
        self, in_channels: int, channels: int, stride: int = 1, *, groups: int = 1, **dd: Any
    ) -> None:
        super().__init__()
        check_divisible(NAME, "width", channels, "four", 4)
        width = channels // 4
        self.norm1 = nn.BatchNorm2d(in_channels, **dd)
        self.conv1 = conv(in_channels, width, 1, **dd)
        self.norm2 = nn.BatchNorm2d(width, **dd)
        self.conv2 = conv(width, width, 3, stride, **dd)
        self.norm3 = nn.BatchNorm2d(width, **dd)
        self.conv3 = conv(width, channels, 1, **dd)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != channels:
            self.downsample = conv(in_channels, channels, 1, stride, **dd)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu_(self.norm1(x))
        shortcut = x if self.downsample is None else self.downsample(y)
        y = torch.relu_(self.norm2(self.conv1(y)))
        y = torch.relu_(self.norm3(self.conv2(y)))
        return self.conv3(y).add_(shortcut)


class ResNeXtUnit(nn.Module):
    """relu(x + BN(W3 r(W2 r(W1 x)))), r(x) = relu(BN(x)); the 3x3 in groups, of width C' / 2."""

    preact = False

    def __init__(
        self, in_channels: int, channels: int, stride: int = 1, *, groups: int = 32, **dd: Any
    ) -> None:
        super().__init__()
        check_divisible(NAME, "width", channels, "two", 2)
        width = channels // 2
        check_divisible(NAME, "hidden width", width, "groups", groups)
        self.conv1 = conv(in_channels, width, 1, **dd)
        self.norm1 = nn.BatchNorm2d(width, **dd)
        self.conv2 = conv(width, width, 3, stride, groups, **dd)
        self.norm2 = nn.BatchNorm2d(width, **dd)
        self.conv3 = conv(width, channels, 1, **dd)
        self.norm3 = nn.BatchNorm2d(channels, **dd)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                conv(in_channels, channels, 1, stride, **dd), nn.BatchNorm2d(channels, **dd)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu_(self.norm1(self.conv1(x)))
        y = torch.relu_(self.norm2(self.conv2(y)))
        y = self.norm3(self.conv3(y))
        return torch.relu_(y.add_(x if self.downsample is None else self.downsample(x)))


class InceptionUnit(nn.Module):
    """x + W [p, q, r], three paths from b = W1 a(x), split in three; a(x) = relu(BN(x)).

        p = a(b1),   q = a(3x3 a(b2)),   r = a(3x3 a(3x3 a(b3)))

    Each path has C' / 8 channels, as in the first block of Inception-ResNet (Szegedy et al.,
    arXiv 1602.07261, figure 10: 32 of 256). The authors of AttentionInception released no code;
    this is our reading, pre-activated as their other units.
    """

    preact = True

    def __init__(
        self, in_channels: int, channels: int, stride: int = 1, *, groups: int = 1, **dd: Any
    ) -> None:
        super().__init__()
        check_divisible(NAME, "width", channels, "eight", 8)
        self.width, self.stride = channels // 8, stride
        width = self.width
        self.norm1 = nn.BatchNorm2d(in_channels, **dd)
        self.conv1 = conv(in_channels, 3 * width, 1, **dd)  # the first layer of all paths
        self.norm2 = nn.BatchNorm2d(3 * width, **dd)
        self.conv2 = conv(width, width, 3, stride, **dd)
        self.conv3 = conv(width, width, 3, **dd)
        self.norm3 = nn.BatchNorm2d(width, **dd)
        self.conv4 = conv(width, width, 3, stride, **dd)
        self.norm4 = nn.BatchNorm2d(2 * width, **dd)
        self.conv5 = conv(3 * width, channels, 1, **dd)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != channels:
            self.downsample = conv(in_channels, channels, 1, stride, **dd)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu_(self.norm1(x))
        shortcut = x if self.downsample is None else self.downsample(y)
        p, q, r = torch.relu_(self.norm2(self.conv1(y))).split(self.width, 1)
        r = torch.relu_(self.norm3(self.conv3(r)))
        q = torch.relu_(self.norm4(torch.cat([self.conv2(q), self.conv4(r)], 1)))
        y = torch.cat([p[:, :, :: self.stride, :: self.stride], q], 1)
        return self.conv5(y).add_(shortcut)


UNITS: dict[str, type[PreActBottleneck] | type[ResNeXtUnit] | type[InceptionUnit]] = {
    "preact_bottleneck": PreActBottleneck,
    "resnext": ResNeXtUnit,
    "inception": InceptionUnit,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Builds the units of one network: `kind` of `UNITS`, and `groups` of its 3x3 convolutions."""

    kind: str
    groups: int = 1
    device: Any = None
    dtype: Any = None

    @property
    def dd(self) -> dict[str, Any]:
        """`device` and `dtype`, as keywords of any layer."""
        return {"device": self.device, "dtype": self.dtype}

    @property
    def preact(self) -> bool:
        """Whether a unit's output is still to be normed."""
        return UNITS[self.kind].preact

    def one(self, in_channels: int, channels: int, stride: int = 1) -> nn.Module:
        """A unit."""
        return UNITS[self.kind](in_channels, channels, stride, groups=self.groups, **self.dd)

    def row(self, channels: int, count: int) -> nn.Sequential:
        """So many units of one width."""
        return nn.Sequential(*(self.one(channels, channels) for _ in range(count)))


def conv(
    in_channels: int, channels: int, kernel_size: int, stride: int = 1, groups: int = 1, **dd: Any
) -> nn.Conv2d:
    """A convolution without bias that keeps the size at stride 1."""
    padding = (kernel_size - 1) // 2
    return nn.Conv2d(
        in_channels, channels, kernel_size, stride, padding, groups=groups, bias=False, **dd
    )
