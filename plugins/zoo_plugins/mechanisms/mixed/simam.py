"""SimAM (Yang et al., ICML 2021, PMLR 139, section 3.3 and the code in its figure 3).

    d = (x - mean_hw(x))^2,  v = sum_hw(d) / (HW - 1)
    y = x * sigmoid(d / (4 (v + lambda)) + 1/2)

x, y: (B, C, H, W); no parameters. Eq. 5 divides the variance by HW; the code, followed here, by
HW - 1. The authors put it before the last batch norm of a block, the zoo after it, as all others.
A 1x1 map, where the code divides by zero, gets the constant gate sigmoid(1/2).
"""

from __future__ import annotations

import torch
from timm.layers import register_notrace_function
from torch import Tensor, nn

from zoo.sdk import PositiveFloat
from zoo.sdk.fused import deviation_gate, in_use
from zoo.sdk.precision import widened


class SimAM(nn.Module):
    """(B, C, H, W) -> the same shape, each position scaled by how much it stands out.

    Args:
        channels: C; nothing depends on it.
        e_lambda: lambda > 0, the regulariser of the energy, 1e-4.
    """

    def __init__(self, channels: int, *, e_lambda: PositiveFloat = 1e-4) -> None:
        super().__init__()
        self.e_lambda = e_lambda

    def forward(self, x: Tensor) -> Tensor:
        if in_use(x):
            return deviation_gate(x, self.e_lambda)  # the same, in one kernel
        square = widened(x - x.mean((2, 3), keepdim=True)).square()
        var = square.sum((2, 3), keepdim=True) / others(x)
        gate = torch.sigmoid(square * (0.25 / (var + self.e_lambda)) + 0.5)
        return x * gate.to(x.dtype)

    def extra_repr(self) -> str:
        return f"e_lambda={self.e_lambda}"


@register_notrace_function
def others(x: Tensor) -> int:
    """HW - 1, and 1 for a map of one position, whose squares are zero."""
    return max(x.shape[2] * x.shape[3] - 1, 1)
