"""GCT, gated channel transformation (Yang, Zhu, Wu, Yang, CVPR 2020, arXiv 1909.11519, section 3).

    s = alpha * sqrt(sum_hw(x^2) + eps)                         embedding
    n = gamma * s / sqrt(mean_c(s^2) + eps)                     competition of the channels
    y = x * (1 + tanh(n + beta))                                gate in (0, 2)

x, y: (B, C, H, W); s, n: (B, C, 1, 1); alpha, gamma and beta have one number for each channel.
That is `mode="l2"`. With `mode="l1"` s = alpha * sum_hw(|x|) and n = gamma * s / (mean_c(|s|) +
eps); `after_relu=True` leaves out the absolute values of x, which are not negative then.

The paper writes sqrt(C) s / ||s||_2 for the l2 competition, which is the same up to eps. The
authors put the layer before each convolution of a block, the zoo after the block's last norm, as
all others; and they exempt beta from weight decay.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveFloat
from zoo.sdk.precision import widened


class GatedChannelTransformation(nn.Module):
    """(B, C, H, W) -> the same shape, each channel scaled by a gate in (0, 2), at the start 1.

    Args:
        channels: C.
        mode: the norm that embeds a channel, `l2` or `l1`.
        after_relu: with `l1`, sum x itself instead of |x|; False.
        eps: as above, 1e-5.
    """

    def __init__(
        self,
        channels: int,
        *,
        mode: Literal["l1", "l2"] = "l2",
        after_relu: bool = False,
        eps: PositiveFloat = 1e-5,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.mode, self.after_relu, self.eps = mode, after_relu, eps
        shape, dd = (1, channels, 1, 1), {"device": device, "dtype": dtype}
        self.alpha = nn.Parameter(torch.ones(shape, **dd))
        self.gamma = nn.Parameter(torch.zeros(shape, **dd))
        self.beta = nn.Parameter(torch.zeros(shape, **dd))

    def forward(self, x: Tensor) -> Tensor:
        wide = widened(x)  # a sum over a map is soon too large for float16
        if self.mode == "l2":
            s = self.alpha * (wide.square().sum((2, 3), keepdim=True) + self.eps).sqrt()
            scale = (s.square().mean(1, keepdim=True) + self.eps).sqrt()
        else:
            s = self.alpha * (wide if self.after_relu else wide.abs()).sum((2, 3), keepdim=True)
            scale = s.abs().mean(1, keepdim=True) + self.eps
        gate = 1 + torch.tanh(s * (self.gamma / scale) + self.beta)
        return x * gate.to(x.dtype)

    def init_identity(self) -> float:
        """Start as x, as published; returns 1. alpha learns from the second step."""
        with torch.no_grad():
            self.alpha.fill_(1.0)
            self.gamma.zero_()
            self.beta.zero_()
        return 1.0

    def extra_repr(self) -> str:
        return f"mode={self.mode!r}, after_relu={self.after_relu}, eps={self.eps}"
