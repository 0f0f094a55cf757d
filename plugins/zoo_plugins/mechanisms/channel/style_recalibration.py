"""SRM, style-based recalibration (Lee, Kim, Nam, ICCV 2019, arXiv 1903.10829, section 3).

    t = (mean_hw(x), sqrt(var_hw(x) + eps))             style pooling
    z = cfc_1 * t_1 + cfc_2 * t_2                       style integration, each channel by itself
    y = x * sigmoid(BN(z))

x, y: (B, C, H, W); t_1, t_2, z: (B, C, 1, 1); cfc: (C, 2), without a bias. As in the authors'
code the variance is unbiased, over HW - 1, and cfc starts at zero. Their code gives NaN on a map of
one position, whose variance is zero here. In training the norm sees one number of each image, so
that a batch needs two.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveFloat
from zoo_plugins.mechanisms.channel.moments import mean_and_variance


class StyleRecalibration(nn.Module):
    """(B, C, H, W) -> the same shape, each channel scaled by a gate in (0, 1).

    Args:
        channels: C.
        eps: added to the variance, 1e-5.
    """

    def __init__(
        self,
        channels: int,
        *,
        eps: PositiveFloat = 1e-5,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.eps = eps
        dd: Any = {"device": device, "dtype": dtype}
        self.cfc = nn.Parameter(torch.zeros((channels, 2), **dd))
        self.bn = nn.BatchNorm2d(channels, **dd)

    def forward(self, x: Tensor) -> Tensor:
        mean, var = mean_and_variance(x, (2, 3))
        first, second = self.cfc[:, :, None, None].unbind(1)
        z = first * mean + second * (var + self.eps).sqrt()
        gate = torch.sigmoid(self.bn(z.to(x.dtype)))
        return x * gate.to(x.dtype)

    def init_identity(self) -> float:
        """Start as 0.5 x, as published; returns 0.5. The norm's weight learns from step two."""
        with torch.no_grad():
            self.cfc.zero_()
        self.bn.reset_parameters()
        return 0.5

    def extra_repr(self) -> str:
        return f"eps={self.eps}"
