"""Mechanisms whose parameters are all drawn, so that none hides behind a zero."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import zoo

WIDTH = 24


def randomised(module: Any) -> Any:
    """Every parameter drawn, those that start at zero or one too."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


def build(name: str, channels: int = WIDTH, **options: Any) -> Any:
    torch.manual_seed(0)
    return randomised(zoo.create_attention(name, channels, **options))
