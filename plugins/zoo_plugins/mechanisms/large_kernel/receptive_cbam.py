"""RFCBAMConv: CBAM on the features of windows (Zhang et al., RFAConv, 2023, arXiv 2304.03198).

    f = relu(BN(conv_kxk(x)))                                     (B, C_in k^2, H', W')
    c = sigmoid(W2 relu(W1 mean_hw(x)))                           (B, C_in)
    s = sigmoid(conv3x3([max_c(f); mean_c(f)]))                   on the map k H' x k W'
    y = conv(f * c * s)                                           (B, C, H', W')

x: (B, C_in, H, W). s is computed on the map on which each window is laid out, k x k positions each,
from the features before the channel gate; no biases but the last convolution's. The hidden width of
the gate is 16 in the authors' code, whose `ratio=16` is that width and no divisor. This is
their ResNet's module: the copies in `model.py` and in their detector leave `dilation` out.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo_plugins.mechanisms.large_kernel.receptive_parts import WindowConv, generator


class ChannelGate(nn.Module):
    """(B, C, H, W) -> (B, C, 1, 1, 1), each in (0, 1)."""

    def __init__(self, channels: int, width: int, dd: Any) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, width, bias=False, **dd),
            nn.ReLU(inplace=True),
            nn.Linear(width, channels, bias=False, **dd),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.fc(x.mean((2, 3))))[:, :, None, None, None]


class ReceptiveCbam(nn.Module):
    """(B, C_in, H, W) -> (B, C, H', W')."""

    def __init__(
        self,
        inputs: int,
        channels: int,
        kernel_size: int,
        stride: int,
        dilation: int,
        width: int,
        norm_act: bool,
        dd: Any,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.generate = generator(inputs, kernel_size, stride, dilation, dd)
        self.get_weight = nn.Sequential(nn.Conv2d(2, 1, 3, padding=1, bias=False, **dd))
        self.se = ChannelGate(inputs, width, dd)
        self.conv = WindowConv(inputs, channels, kernel_size, norm_act, dd)

    def forward(self, x: Tensor) -> Tensor:
        features = self.generate(x).unflatten(1, (-1, self.kernel_size**2))  # (B, C, k^2, H', W')
        gated = features * self.se(x) * self._positions(features)
        return self.conv(gated.flatten(1, 2))

    def _positions(self, features: Tensor) -> Tensor:
        """s, (B, 1, k^2, H', W')."""
        planes = torch.cat([features.max(1).values, features.mean(1)], 1)  # max first, then mean
        logits = self.get_weight(F.pixel_shuffle(planes, self.kernel_size))
        return torch.sigmoid(F.pixel_unshuffle(logits, self.kernel_size)).unsqueeze(1)
