"""ParNet's RepVGG-SSE block (Goyal et al., NeurIPS 2022, arXiv 2110.07641, section 3.1).

    i = BN(x)
    y = silu(BN(conv3x3(x)) + BN(conv1x1(x)) + i * sigmoid(W mean_hw(i)))

x, y: (B, C, H, W); W: (C, C), a skip-squeeze-excitation without a bottleneck, on the identity
branch behind its norm. No convolution has a bias.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn


class ParNet(nn.Module):
    """(B, C, H, W) -> the same shape.

    Args:
        channels: C.
        activation: `silu`, as in the published models, or `relu`, the code's default.
        bias: of the convolutions, False.
    """

    def __init__(
        self,
        channels: int,
        *,
        activation: Literal["silu", "relu"] = "silu",
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        conv: Any = {"bias": bias, **dd}
        self.conv3x3 = nn.Conv2d(channels, channels, 3, padding=1, **conv)
        self.bn3x3 = nn.BatchNorm2d(channels, **dd)
        self.conv1x1 = nn.Conv2d(channels, channels, 1, **conv)
        self.bn1x1 = nn.BatchNorm2d(channels, **dd)
        self.bn_skip = nn.BatchNorm2d(channels, **dd)
        self.squeeze_excite = nn.Conv2d(channels, channels, 1, **conv)
        self.act = nn.SiLU() if activation == "silu" else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        skip = self.bn_skip(x)
        gate = torch.sigmoid(self.squeeze_excite(skip.mean((2, 3), keepdim=True)))
        branches = self.bn3x3(self.conv3x3(x)) + self.bn1x1(self.conv1x1(x))
        return self.act(torch.addcmul(branches, skip, gate))
