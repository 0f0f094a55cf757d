"""Small networks, trained within seconds on images that are drawn, for the check of warm starts.

Each class is stripes of one direction, width and colour, at any phase, under noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from timm.models.resnet import BasicBlock, Bottleneck
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from zoo.testing.trial import CHANNELS

SIZE, CLASSES, BATCH = (16, 16), 10, 8
NOISE = {"refine": 2.0, "replace_conv": 3.0, "replace_mixer": 1.5}  # some nine in ten are right
STEPS, RATE = 300, 3e-3  # of the training, with one cycle of the rate
Images = tuple[Tensor, Tensor]


class Convolutional(nn.Module):
    """Two of timm's blocks on maps (B, 64, 8, 8)."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.feature_info = [
            {"module": f"blocks.{i}", "num_chs": CHANNELS, "reduction": 2}
            for i in range(len(blocks))
        ]
        self.stem = nn.Sequential(
            nn.Conv2d(3, CHANNELS, 3, 2, 1, bias=False), nn.BatchNorm2d(CHANNELS), nn.ReLU()
        )
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(CHANNELS, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def _network(role: str) -> nn.Module:
    """With places for what refines a map, replaces a convolution or mixes tokens."""
    if role == "replace_mixer":  # among 16 tokens a steep start went unnoticed
        return VisionTransformer(
            img_size=SIZE, patch_size=2, embed_dim=CHANNELS, depth=2, num_heads=4, mlp_ratio=2,
            class_token=False, global_pool="avg", num_classes=CLASSES,
        )  # fmt: skip
    if role == "replace_conv":
        return Convolutional(BasicBlock(CHANNELS, CHANNELS), BasicBlock(CHANNELS, CHANNELS))
    return Convolutional(*(Bottleneck(CHANNELS, CHANNELS // 4) for _ in range(2)))


@cache
def trained(role: str) -> nn.Module:
    """The network for a role, trained; copy it before changing it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = _network(role)
        optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS)
        batches = images(role, 0, batch=16)
        for _ in range(STEPS):
            fit(model, optimiser, batches, 1)
            schedule.step()
    return model


def fit(
    model: nn.Module, optimiser: torch.optim.Optimizer, batches: Iterator[Images], steps: int
) -> None:
    """So many steps of cross-entropy."""
    model.train()
    for _, (x, labels) in zip(range(steps), batches, strict=False):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), labels).backward()
        optimiser.step()


@torch.no_grad()
def accuracy(model: nn.Module, role: str) -> float:
    """Of 400 images that no network was trained on, in per cent."""
    x, labels = next(images(role, 1, batch=400))
    return 100 * (model.eval()(x).argmax(1) == labels).float().mean().item()


def images(role: str, seed: int, *, batch: int = BATCH) -> Iterator[Images]:
    """Batches without end, for the network of a role; the same for a seed."""
    drawn: Any = {"generator": torch.Generator().manual_seed(100 + seed)}
    colours = torch.randn(CLASSES, 3, 1, 1, generator=torch.Generator().manual_seed(5))
    rows, columns = (torch.arange(side) / side for side in SIZE)
    stripes = torch.stack(
        [(c % 4) * rows[:, None] + (c // 4 + 1) * columns for c in range(CLASSES)]
    )
    while True:
        labels = torch.randint(CLASSES, (batch,), **drawn)
        phase = torch.rand(batch, 1, 1, **drawn)
        waves = torch.cos(2 * torch.pi * (stripes[labels] + phase)).unsqueeze(1)
        yield colours[labels] * waves + NOISE[role] * torch.randn(batch, 3, *SIZE, **drawn), labels
