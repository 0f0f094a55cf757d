"""External attention (Guo et al., TPAMI 2022, arXiv 2105.02358, section 3.2).

    A = norm(M_k F),   y = relu(BN(W (M_v A)) + x),   F = W_1 x + b_1                (eq. 5, 6)

M_k: C -> S and M_v: S -> C are two learned memories of S slots, the same for all images. norm is
the double normalisation: softmax over the N positions, then each position's S weights divided by
their sum + 1e-9 (eq. 8-10). Linear in N = H W.

x, y: (B, C, H, W). The residual and the ReLU are within the block, as in the authors' code, whose
parameter names these are. b_1 has no effect (the softmax over positions takes it out again). There
M_v starts as M_k^T, on a CPU even as the same memory; here too, but always as parameters apart.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveInt
from zoo.sdk.activations import final_relu
from zoo.sdk.precision import widened


def double_normalize(logits: Tensor, positions: int, slots: int) -> Tensor:
    """Softmax over the positions, then weights of the slots that sum to one (eps 1e-9)."""
    weights = widened(logits).softmax(positions)
    return (weights / (weights.sum(slots, keepdim=True) + 1e-9)).to(logits.dtype)


class ExternalAttention(nn.Module):
    """(B, C, H, W) -> the same shape, not negative.

    Args:
        channels: C.
        num_slots: S, 64.
        bias: of the first convolution.
        norm: `batch`, or `none`.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_slots: PositiveInt = 64,
        bias: bool = True,
        norm: Literal["batch", "none"] = "batch",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=bias, **dd)
        self.linear_0 = nn.Conv1d(channels, num_slots, 1, bias=False, **dd)
        self.linear_1 = nn.Conv1d(num_slots, channels, 1, bias=False, **dd)
        conv2 = nn.Conv2d(channels, channels, 1, bias=False, **dd)
        last = nn.BatchNorm2d(channels, **dd) if norm == "batch" else nn.Identity()
        self.conv2 = nn.Sequential(conv2, last)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As the authors: normal with fan-out, and M_v = M_k^T."""
        for conv in (self.conv1, self.linear_0, self.conv2[0]):
            assert isinstance(conv, (nn.Conv1d, nn.Conv2d))
            nn.init.normal_(conv.weight, std=math.sqrt(2 / conv.out_channels))
        with torch.no_grad():
            self.linear_1.weight.copy_(self.linear_0.weight.transpose(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv1(x)
        attention = double_normalize(self.linear_0(features.flatten(2)), positions=2, slots=1)
        y = self.conv2(self.linear_1(attention).view_as(features))
        return final_relu(y + x)
