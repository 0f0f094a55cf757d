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
from zoo_plugins.common.identity import zero_
from zoo_plugins.common.options import check_bool, check_int, refuse

NAME = "double_attention"


class DoubleAttention(nn.Module):
    """(B, C, H, W) -> (B, C, H, W), or (B, c_m, H, W) if `reconstruct` is False.

    Args:
        channels: C.
        c_m, c_n: channels of the descriptors and their number, C // 4 each.
        reconstruct: end with a convolution to C channels.
        residual: add the input, True; by default not without `reconstruct`.
        bias: of the convolutions.
        act_layer: not used (timm's builders hand one to every attention).
    """

    def __init__(
        self,
        channels: int,
        *,
        c_m: int | None = None,
        c_n: int | None = None,
        reconstruct: bool = True,
        residual: bool | None = None,
        bias: bool = True,
        act_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        channels = check_int(NAME, "channels", channels)
        c_m, c_n = (
            max(1, channels // 4) if width is None else check_int(NAME, name, width)
            for name, width in (("c_m", c_m), ("c_n", c_n))
        )
        reconstruct = check_bool(NAME, "reconstruct", reconstruct)
        self.residual = reconstruct if residual is None else check_bool(NAME, "residual", residual)
        if self.residual and not reconstruct and c_m != channels:
            refuse(NAME, "residual=True needs as many channels out as in", "reconstruct=True")
        dd: Any = {"bias": check_bool(NAME, "bias", bias), "device": device, "dtype": dtype}
        self.phi = nn.Conv2d(channels, c_m, 1, **dd)
        self.theta = nn.Conv2d(channels, c_n, 1, **dd)
        self.rho = nn.Conv2d(channels, c_n, 1, **dd)
        self.reconstruct = nn.Conv2d(c_m, channels, 1, **dd) if reconstruct else None

    def forward(self, x: Tensor) -> Tensor:
        return x + self.distribute(x) if self.residual else self.distribute(x)

    def distribute(self, x: Tensor) -> Tensor:
        """W Z, (B, C, H, W), or Z without `reconstruct`."""
        gather = torch.softmax(self.theta(x).flatten(2), 2)  # (B, c_n, HW)
        distribute = torch.softmax(self.rho(x).flatten(2), 1)
        means = gather @ x.flatten(2).transpose(1, 2)  # (B, c_n, C)
        descriptors = F.linear(means, self.phi.weight.flatten(1), self.phi.bias)
        bias = None
        if self.reconstruct is not None:
            descriptors = F.linear(descriptors, self.reconstruct.weight.flatten(1))
            bias = self.reconstruct.bias
        if bias is not None:  # the distribution sums to one, so the bias is a descriptor's part
            descriptors = descriptors + bias
        return (descriptors.transpose(1, 2) @ distribute).unflatten(2, x.shape[2:])

    def init_identity(self) -> float:
        """Start as x: the last convolution is zero; returns 1."""
        if not self.residual or self.reconstruct is None:
            refuse(NAME, "without reconstruct and residual there is no start as the identity")
        zero_(self.reconstruct)
        return 1.0


def reference_call(module: DoubleAttention, x: Tensor) -> Tensor:
    """What a reference case records: the port's output, to which the paper's network adds x."""
    return module.distribute(x)
