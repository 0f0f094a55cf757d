"""Second-order channel attention (Dai et al., CVPR 2019, section 3.3: SAN; eq. 6-13).

    S = (X - mean_hw X)(X - mean_hw X)^T / HW            X: (C, HW), the covariance of the channels
    Q = S^(1/2)                                          Newton-Schulz iteration, S scaled by trace
    y = x * sigmoid(W2 relu(W1 mean_rows(Q) + b1) + b2)

x, y: (B, C, H, W); W1: (C/r, C). The iteration (eq. 9) is coupled, Y <- Y (3 - Z Y) / 2 and
Z <- (3 - Z Y) Z / 2 from S and 1; of `iters` steps the last needs no Z. As in the authors' code,
only the central 1000 x 1000 positions of a larger map count.

Y is always S p(S) with the polynomial p that Z holds, so on maps with HW < C the iteration runs on
the HW x HW Gram matrix instead: (U U^T) p(U U^T) = U p(U^T U) U^T. A 7x7 map of 2048 channels then
costs 49^3, not 2048^3. A map without variance, where the authors' code divides by zero, has Q = 0.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, bottleneck_width, pair_hidden_units_
from zoo.sdk.precision import widened


class SecondOrderChannelAttention(nn.Module):
    """(B, C, H, W) -> the same shape, each channel scaled by a gate in (0, 1).

    Args:
        channels: C.
        reduction: r, 16 as in the authors' network.
        reduced_channels: the width of the hidden layer itself, instead of C / r.
        iters: of Newton-Schulz, 5.
        bias: of both layers.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 16,
        reduced_channels: PositiveInt | None = None,
        iters: PositiveInt = 5,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.iters = iters
        width = bottleneck_width(channels, reduction, reduced_channels)
        self.fc1 = nn.Conv2d(channels, width, 1, bias=bias, device=device, dtype=dtype)
        self.fc2 = nn.Conv2d(width, channels, 1, bias=bias, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        pooled = covariance_pool(_crop(x), self.iters).to(x.dtype)
        logits = self.fc2(F.relu(self.fc1(pooled.unsqueeze(2).unsqueeze(3))))
        return x * torch.sigmoid(logits)

    def init_identity(self) -> float:
        """Start as 0.5 x, every parameter learning from the first step; returns 0.5."""
        pair_hidden_units_(self.fc1, self.fc2)
        return 0.5


def covariance_pool(x: Tensor, iters: int) -> Tensor:
    """(B, C, H, W) -> (B, C): the mean row of the square root of the covariance."""
    x = widened(x.flatten(2))
    centred = x - x.mean(2, keepdim=True)
    trace = centred.square().sum((1, 2)).div(x.shape[2]).clamp(min=1e-20)[:, None, None]
    u = centred * (trace * x.shape[2]).rsqrt()  # from here on no number is above 1
    mean = u.mean(1, keepdim=True)  # (B, 1, HW)
    if x.shape[1] <= x.shape[2]:
        y, z = newton_schulz(u @ u.transpose(1, 2), iters - 1)
        row = y.mean(1, keepdim=True)
        row = 1.5 * row - 0.5 * (row @ z) @ y
    else:
        y, z = newton_schulz(u.transpose(1, 2) @ u, iters - 1)
        row = mean @ z
        row = (1.5 * row - 0.5 * (row @ z) @ y) @ u.transpose(1, 2)
    return (row * trace.sqrt()).squeeze(1)


def newton_schulz(s: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Y -> s^(1/2), Z -> s^(-1/2) after `steps` of the coupled iteration; s: (B, N, N)."""
    eye = torch.eye(s.shape[1], dtype=s.dtype, device=s.device).expand_as(s)
    y, z = s, eye
    for step in range(steps):
        factor = 1.5 * eye - 0.5 * (z @ y if step else s)
        y, z = y @ factor, (factor @ z if step else factor)
    return y, z


def _crop(x: Tensor) -> Tensor:
    height, width = min(x.shape[2], 1000), min(x.shape[3], 1000)
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[:, :, top : top + height, left : left + width]
