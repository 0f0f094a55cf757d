"""One hourglass (Newell, Yang, Deng, ECCV 2016, arXiv 1603.06937, section 3.1).

    h_n(x) = r(x) + up(r(h_{n-1}(r(pool(x)))))          h_0 = r: a residual

x, y: (B, C, H, W); pool: maximum over 2 x 2, odd sizes rounded up (the authors' code takes
multiples of 2^n only); up: nearest, to the size of the map that it is added to. r: the
pre-activation residual x + W3 a(W2 a(W1 a(x))), a(x) = relu(BN(x)), 1x1, 3x3 and 1x1 convolutions
with biases, half as wide inside; x is projected where the width changes.

As in the authors' code: `increase` widens the first level only, and the levels below keep that
width. Their residuals own a projection even where it is never used; ours do not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.sdk import Count, PositiveInt, check_divisible
from zoo.sdk.inputs import check_shape
from zoo.weights.keymaps import rename

NAME = "hourglass"
AUTHORS_NAMES = (
    (r"(^|\.)(conv\d|skip_layer)\.conv\.", r"\1\2."),
    (r"^hgs\.(\d+)\.0\.", r"hgs.\1."),
    (r"^outs\.(\d+)\.conv\.", r"outs.\1."),
    (r"^(merge_\w+\.\d+)\.conv\.conv\.", r"\1."),
)


class Residual(nn.Module):
    """The pre-activation bottleneck, (B, C, H, W) -> (B, C', H, W)."""

    def __init__(self, channels: int, out_channels: int, bias: bool = True, **dd: Any) -> None:
        super().__init__()
        check_divisible(NAME, "channels", out_channels, "two", 2)
        width = out_channels // 2
        self.bn1 = nn.BatchNorm2d(channels, **dd)
        self.conv1 = nn.Conv2d(channels, width, 1, bias=bias, **dd)
        self.bn2 = nn.BatchNorm2d(width, **dd)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=bias, **dd)
        self.bn3 = nn.BatchNorm2d(width, **dd)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=bias, **dd)
        self.skip_layer: nn.Module = nn.Identity()
        if channels != out_channels:
            self.skip_layer = nn.Conv2d(channels, out_channels, 1, bias=bias, **dd)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(torch.relu(self.bn1(x)))
        y = self.conv2(torch.relu(self.bn2(y)))
        y = self.conv3(torch.relu(self.bn3(y)))
        return y + self.skip_layer(x)


class Hourglass(nn.Module):
    """(B, C, H, W) -> the same shape.

    Args:
        channels: C, even.
        depth: n, how often the map is halved.
        increase: channels that the first level below has more.
        bias: of the convolutions.
    """

    def __init__(
        self,
        channels: PositiveInt,
        *,
        depth: PositiveInt = 4,
        increase: Count = 0,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.channels, self.depth = channels, depth
        inner = channels + increase
        more: Any = {"bias": bias, "device": device, "dtype": dtype}
        self.up1 = Residual(channels, channels, **more)
        self.low1 = Residual(channels, inner, **more)
        deeper = depth > 1
        self.low2 = (
            Hourglass(inner, depth=depth - 1, **more) if deeper else Residual(inner, inner, **more)
        )
        self.low3 = Residual(inner, channels, **more)

    def forward(self, x: Tensor) -> Tensor:
        check_shape(NAME, "x", x, ("B", self.channels, "H", "W"))
        low = self.low3(self.low2(self.low1(F.max_pool2d(x, 2, ceil_mode=True))))
        return self.up1(x) + F.interpolate(low, size=x.shape[2:], mode="nearest")


def from_authors(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The authors' names to ours, without the projections that a residual never uses."""
    own = module.state_dict().keys()
    names = {key: rename(AUTHORS_NAMES, key, NAME) for key in state}
    return {name: state[key] for key, name in names.items() if not _is_unused(name, own)}


def _is_unused(name: str, own: Collection[str]) -> bool:
    residual, found, _ = name.rpartition("skip_layer.")
    return bool(found) and name not in own and f"{residual}conv3.weight" in own
