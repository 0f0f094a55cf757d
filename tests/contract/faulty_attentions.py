"""Attentions with one fault each, for the test of the conformance kit."""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import Tensor, nn


class Sound(nn.Module):
    """x * sigmoid(w): nothing is wrong with it."""

    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, 1, 1, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.sigmoid()

    def init_identity(self) -> float:
        with torch.no_grad():
            self.weight.zero_()
        return 0.5


class WrongShape(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).mean((2, 3), keepdim=True)


class WrongDtype(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).double()


class NotFinite(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).log()


class InPlace(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(self.weight.sigmoid())


class EvenSizes(Sound):
    def forward(self, x: Tensor) -> Tensor:
        halves = nn.functional.avg_pool2d(x, 2)
        return nn.functional.interpolate(halves, scale_factor=2.0) * self.weight.sigmoid()


class ChangesInputInTraining(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.data.mul_(2) if self.training else x)


class PairInTraining(Sound):
    def forward(self, x: Tensor) -> Any:
        y = super().forward(x)
        return (y, y.mean()) if self.training else y


class RemembersSize(Sound):
    """Keeps a table for each area, which maps of other sides have too."""

    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__(channels, device=device, dtype=dtype)
        self.tables: dict[int, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        columns = torch.linspace(0, 1, width).expand(height, width).flatten()
        table = self.tables.setdefault(height * width, columns)
        return super().forward(x) * table.to(x).view(height, width)


class OneWidth(Sound):
    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__(64, device=device, dtype=dtype)


class StaysInTraining(Sound):
    def train(self, mode: bool = True) -> StaysInTraining:
        return super().train()


class Seeds(Sound):
    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        torch.manual_seed(0)
        super().__init__(channels, device=device, dtype=dtype)


class StartsAnywhere(Sound):
    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__(channels, device=device, dtype=dtype)
        nn.init.constant_(self.weight, random.random())


class BecomesFloat(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.float().sigmoid()


class OnOneDevice(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.zeros(x.shape[-1], dtype=x.dtype)


class ForgetsTraining(Sound):
    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__(channels, device=device, dtype=dtype)
        self.scale = 1.0

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.scale = float(x.detach().abs().mean())
        return super().forward(x) * self.scale


class SquareIdentity(Sound):
    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(2).view(*x.shape[:2], x.shape[3], x.shape[2])
        return super().forward(rows.transpose(2, 3) if x.shape[2] != x.shape[3] else x)


class UnsavedIdentity(Sound):
    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__(channels, device=device, dtype=dtype)
        self.offset = 0.3

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.weight.sigmoid() + self.offset)

    def init_identity(self) -> float:
        self.offset = 0.0
        return super().init_identity()


class FrozenIdentity(Sound):
    def init_identity(self) -> float:
        self.weight.requires_grad_(False)
        return super().init_identity()


class IgnoresDtype(Sound):
    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__(channels)


class MixesBatch(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean(0, keepdim=True))


class ReadsMemory(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return x.as_strided(x.shape, torch.empty(x.shape).stride()) * self.weight.sigmoid()


class Dead(Sound):
    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__(channels, device=device, dtype=dtype)
        self.unused = nn.Parameter(torch.ones(1, device=device, dtype=dtype))


class TakesNoPart(Dead):
    pass


class Overflows(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (x.square() / x.square().mean()).sigmoid()


class LosesTable(Sound):
    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__(channels, device=device, dtype=dtype)
        table = torch.arange(channels, device=device, dtype=dtype or torch.get_default_dtype())
        self.register_buffer("table", table[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.get_buffer("table")


class CountsForwards(Sound):
    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__(channels, device=device, dtype=dtype)
        self.register_buffer("count", torch.ones((), device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.get_buffer("count").add_(1)
        return super().forward(x) / self.get_buffer("count")


class Unpicklable(Sound):
    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__(channels, device=device, dtype=dtype)
        self.gate = lambda x: x


class HiddenState(Sound):
    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__(channels, device=device, dtype=dtype)
        self.scale = torch.rand(())

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale


class TakesAnything(Sound):
    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None, **_: Any) -> None:
        super().__init__(channels, device=device, dtype=dtype)


class NoIdentity(Sound):
    def init_identity(self) -> float:
        return 0.5


class StuckIdentity(Sound):
    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__(channels, device=device, dtype=dtype)
        self.factor = nn.Parameter(torch.ones(channels, 1, 1, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.weight * self.factor).sigmoid()

    def init_identity(self) -> float:
        with torch.no_grad():
            self.weight.zero_()
            self.factor.zero_()
        return 0.5


class IgnoresMask(Sound):
    """Tokens (B, N, C) minus their mean, the masked ones in it."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return x - x.mean(1, keepdim=True) * self.weight.flatten()


class IgnoresGenerator(Sound):
    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return super().forward(x) * (torch.rand(()) if self.training else 1)


class DrawsInEval(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * torch.rand(())


class Steep(Sound):
    """x, and of what it learns five thousand times as much."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 + 5000 * (x * self.weight).mean((1, 2, 3), keepdim=True))

    def init_identity(self) -> float:
        super().init_identity()
        return 1.0


class Forgets(Sound):
    """Hides where a map is high, in training alone."""

    def forward(self, x: Tensor) -> Tensor:
        y, at = super().forward(x), x.detach().mean(1, keepdim=True)
        return y * (at < 0.2 * at.amax((2, 3), keepdim=True)) if self.training else y


class NeverMoves(Sound):
    """Built as the identity without saying so: its residual has no gradient, and neither has it."""

    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__(channels, device=device, dtype=dtype)
        nn.init.zeros_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + x * self.weight.tanh()
