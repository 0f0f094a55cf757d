"""Random pictures of odd sizes, and a small network whose norms are as after training."""

from __future__ import annotations

import numpy as np
import timm
import torch
from PIL import Image
from torch import nn


class Noise:
    """Random pictures of odd sizes, with labels."""

    name, split = "noise", "test"

    def __init__(self, count: int = 10, classes: int = 10, bad: tuple[int, ...] = ()) -> None:
        draw = np.random.default_rng(0)
        sizes = draw.integers(40, 90, (count, 2))
        self.images = [draw.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in sizes]
        self.labels = draw.integers(0, classes, count).tolist()
        self.num_classes: int | None = classes
        self.bad = bad

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        if index in self.bad:
            raise OSError("image file is truncated")
        return Image.fromarray(self.images[index]), self.labels[index]


def random_norms(model: nn.Module) -> nn.Module:
    """Statistics and scales as after training: folding them must matter."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_var, module.weight):
                nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in (module.running_mean, module.bias):
                nn.init.normal_(tensor, std=0.2)
    return model.eval()


def small(name: str = "resnet10t", size: int = 48, **options) -> nn.Module:
    torch.manual_seed(0)
    model = random_norms(timm.create_model(name, num_classes=10, **options))
    model.pretrained_cfg = {**model.pretrained_cfg, "input_size": (3, size, size)}
    return model
