"""Models as people write them, that know nothing of the zoo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.down = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.down(x))


class ResNet(nn.Module):
    """A stem, two stages and a classifier."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, 2, 1), nn.ReLU())
        self.stage1 = nn.Sequential(Block(channels), Block(channels))
        self.stage2 = nn.Sequential(Block(channels, 2), Block(channels))
        self.fc = nn.Linear(channels, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage2(self.stage1(self.stem(x)))
        return self.fc(x.mean((2, 3)))


def double(given: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(),
    )  # fmt: skip


class UNet(nn.Module):
    """Encoders and decoders in a ModuleList, which the network indexes."""

    def __init__(self, widths: tuple[int, ...] = (8, 16, 32)) -> None:
        super().__init__()
        pairs = list(zip((3, *widths), widths, strict=False))
        self.encoders = nn.ModuleList([double(given, width) for given, width in pairs])
        self.decoders = nn.ModuleList(
            [double(low + high, low) for low, high in zip(widths, widths[1:], strict=False)]
        )
        self.head = nn.Conv2d(widths[0], 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for i in range(len(self.encoders)):
            x = self.encoders[i](x if i == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        for i in reversed(range(len(self.decoders))):
            x = F.interpolate(x, scale_factor=2.0)
            x = self.decoders[i](torch.cat((skips[i], x), 1))
        return self.head(x)


class Pair(NamedTuple):
    label: str
    features: Tensor


@dataclass
class Answer:
    loss: None
    features: Tensor


class Wrapped(nn.Module):
    """A convolution whose output lies in a container of some kind."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.conv, self.kind = nn.Conv2d(3, 16, 3, padding=1), kind

    def forward(self, x: Tensor) -> Any:
        y = self.conv(x)
        wrapped = {
            "tuple": (None, y), "list": [3, y], "dict": {"aux": "none", "out": y},
            "namedtuple": Pair("a", y), "dataclass": Answer(None, y), "nested": {"all": [(y, 1)]},
        }  # fmt: skip
        return wrapped[self.kind]


class Tokens(nn.Module):
    """Patches, with some tokens before them: (B, P + N, C)."""

    def __init__(self, prefix: int = 1, channels: int = 16) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, channels, 4, 4)
        self.prefix = nn.Parameter(torch.randn(1, prefix, channels))
        self.mlp = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2)
        return self.mlp(torch.cat((self.prefix.expand(len(x), -1, -1), x), 1))


class ChannelsLast(nn.Module):
    """(B, H, W, C) in the middle, as many rows as channels, so that shapes alone say nothing."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, padding=1)
        self.mix = nn.Sequential(nn.Linear(channels, channels), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(self.conv(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Shared(nn.Module):
    """One block that is called twice, under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.block = Block(16)
        self.again = self.block
        self.act = nn.ReLU()
        self.head = nn.Conv2d(16, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.again(self.block(self.act(self.stem(x))))
        return self.act(self.head(x))
