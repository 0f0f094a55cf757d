"""{{class_name}}: y = x * sigmoid(w * mean_hw(x) + b), one w and one b a channel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk import zero_


class {{class_name}}(nn.Module):
    """(B, C, H, W) -> the same shape, each channel scaled by a gate in (0, 1).

    Args:
        channels: C.
    """

    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.weight * x.mean((2, 3), keepdim=True) + self.bias)

    def init_identity(self) -> float:
        """Start as 0.5 x, so that the zoo can put it into a pretrained backbone unnoticed."""
        zero_(self)
        return 0.5
