"""Double attention (Chen et al., NeurIPS 2018, arXiv 1810.11579, section 3: A^2-Nets, eq. 5-7).

    G = phi(X) softmax_hw(theta(X))^T          gathers c_n global descriptors of c_m channels
    Z = G softmax_n(rho(X))                    distributes them to every position
    y = X + W Z                                in the paper's networks, and by default

x: (B, C, H, W); phi: 1x1 convolution to c_m channels, theta and rho: to c_n, C/4 each. W: 1x1 back
to C channels; without it (`reconstruct=False`) the output has c_m, and nothing is added.

No map but the two attentions is ever written: the attention of a position sums to one, so
phi(X) A^T = W_phi (X A^T) + b_phi, and the last convolution goes into the small matrix too. Checked
against a third party's port, which returns W Z alone, since the authors' code (MXNet) is not to be
had.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveInt, refuse, zero_

NAME = "double_attention"


class DoubleAttention(nn.Module):
    """(B, C, H, W) -> (B, C, H, W), or (B, c_m, H, W) if `reconstruct` is False.

    Args:
        channels: C.
        c_m, c_n: channels of the descriptors and their number, C // 4 each.
        reconstruct: end with a convolution to C channels.
        residual: add the input, True; by default not without `reconstruct`.
        bias: of the convolutions.
    """

    def __init__(
        self,
        channels: int,
        *,
        c_m: PositiveInt | None = None,
        c_n: PositiveInt | None = None,
        reconstruct: bool = True,
        residual: bool | None = None,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        quarter = max(1, channels // 4)
        c_m, c_n = c_m or quarter, c_n or quarter
        self.residual = reconstruct if residual is None else residual
        if self.residual and not reconstruct and c_m != channels:
            refuse(NAME, "residual=True needs as many channels out as in", "reconstruct=True")
        dd: Any = {"bias": bias, "device": device, "dtype": dtype}
        self.phi = nn.Conv2d(channels, c_m, 1, **dd)
        self.theta = nn.Conv2d(channels, c_n, 1, **dd)
        self.rho = nn.Conv2d(channels, c_n, 1, **dd)
        self.reconstruct = nn.Conv2d(c_m, channels, 1, **dd) if reconstruct else None

    def forward(self, x: Tensor) -> Tensor:
        if not self.residual:
            return self.distribute(x)
        descriptors, shares = self._gather(x)
        return torch.baddbmm(x.flatten(2), descriptors, shares).unflatten(2, x.shape[2:])

    def distribute(self, x: Tensor) -> Tensor:
        """W Z, (B, C, H, W), or Z without `reconstruct`."""
        descriptors, shares = self._gather(x)
        return (descriptors @ shares).unflatten(2, x.shape[2:])

    def _gather(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The descriptors (B, C or c_m, c_n), and each position's shares of them (B, c_n, HW)."""
        gather = torch.softmax(self.theta(x).flatten(2), 2)
        means = x.flatten(2) @ gather.transpose(1, 2)  # (B, C, c_n)
        descriptors = _mix(self.phi.weight, self.phi.bias, means)
        if self.reconstruct is not None:  # its bias too: the shares of a position sum to one
            descriptors = _mix(self.reconstruct.weight, self.reconstruct.bias, descriptors)
        return descriptors, torch.softmax(self.rho(x).flatten(2), 1)

    def init_identity(self) -> float:
        """Start as x: the last convolution is zero; returns 1."""
        if not self.residual or self.reconstruct is None:
            refuse(NAME, "without reconstruct and residual there is no start as the identity")
        zero_(self.reconstruct)
        return 1.0


def _mix(weight: Tensor, bias: Tensor | None, vectors: Tensor) -> Tensor:
    """The 1x1 convolution of weight (D, C, 1, 1) on vectors (B, C, N)."""
    return F.conv1d(vectors, weight.flatten(2), bias)


def reference_call(module: DoubleAttention, x: Tensor) -> Tensor:
    """What a reference case records: the port's output, to which the paper's network adds x."""
    return module.distribute(x)
