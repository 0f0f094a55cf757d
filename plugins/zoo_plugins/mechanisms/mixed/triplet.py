"""Triplet attention (Misra et al., WACV 2021, arXiv 2010.03045, section 3).

    gate_d(x) = sigmoid(BN(conv7x7([max_d(x); mean_d(x)])))       d: the axis that is pooled away
    y = x * (gate_H(x) + gate_W(x) + gate_C(x)) / 3

x, y: (B, C, H, W); gate_H lies in the (C, W) plane (`cw`), gate_W in (H, C) (`hc`), gate_C in
(H, W) (`hw`). The authors rotate the map for each branch and average three products; here the
small gates are rotated and averaged instead, which is the same, and the map is multiplied once.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from timm.layers import register_notrace_function
from torch import Tensor, nn

from zoo.sdk import OddInt, zero_
from zoo_plugins.mechanisms.mixed.cbam import ConvNorm


class TripletAttention(nn.Module):
    """(B, C, H, W) -> the same shape, scaled by the mean of three gates.

    Args:
        channels: C; nothing depends on it.
        kernel_size: odd, 7.
        no_spatial: leave out the gate that pools over channels; the mean is then of two.
        norm: `batch` or `none`.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: OddInt = 7,
        no_spatial: bool = False,
        norm: Literal["batch", "none"] = "batch",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        normed = norm == "batch"
        self.cw = ConvNorm(kernel_size, normed, device, dtype)
        self.hc = ConvNorm(kernel_size, normed, device, dtype)
        self.hw = ConvNorm(kernel_size, normed, device, dtype) if not no_spatial else None

    def forward(self, x: Tensor) -> Tensor:
        cw = torch.sigmoid(self.cw(_pool(x, 2))).transpose(1, 2)  # (B, C, 1, W)
        hc = torch.sigmoid(self.hc(_pool(x, 3).transpose(2, 3))).permute(0, 3, 2, 1)  # (B, C, H, 1)
        if self.hw is None:
            return x * (cw * 0.5 + hc * 0.5)
        hw = torch.sigmoid(self.hw(_pool(x, 1)))  # (B, 1, H, W)
        return x * (cw / 3 + (hc + hw) / 3)

    def init_identity(self) -> float:
        """Start as 0.5 x by the norms' scales (without norms: the kernels) at zero; returns 0.5."""
        for gate in (self.cw, self.hc, self.hw):
            if gate is not None:
                zero_(gate.bn if isinstance(gate.bn, nn.BatchNorm2d) else gate.conv)
        return 0.5


def _pool(x: Tensor, dim: int) -> Tensor:
    """The maximum and the mean over one axis: two planes (B, 2, ...)."""
    return torch.stack([maximum_along(x, dim), x.mean(dim)], 1)


@register_notrace_function
def maximum_along(x: Tensor, dim: int) -> Tensor:
    """The maximum whose gradient goes to one position, as the authors'; amax spreads it."""
    learns = x.requires_grad and not torch.jit.is_tracing()  # a trace must be the same either way
    return torch.max(x, dim).values if learns else torch.amax(x, dim)
