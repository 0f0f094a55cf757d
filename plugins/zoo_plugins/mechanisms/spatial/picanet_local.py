"""Local PiCANet attention (Liu, Han, Yang, CVPR 2018, arXiv 1708.06433, section 3.2).

    a = softmax_k(BN(W relu(conv(x))))       one weight for each of k x k neighbours
    y(p) = sum_k a_k(p) x(p + offset_k)

x, y: (B, C, H, W); conv: k x k with the dilation d of the neighbourhood, to `hidden_channels`; W:
1x1 to k^2. Outside the map x is zero, and such neighbours do take attention. In the authors'
network x and y are joined and fused by a convolution that is not part of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveInt, refuse
from zoo_plugins.mechanisms.spatial.neighbourhood import weighted_sum

KERNEL_SIZE, DILATION = 7, 2  # the authors'


class PicanetLocal(nn.Module):
    """(B, C, H, W) -> the same shape; each position attends to its neighbourhood.

    Args:
        channels: C.
        hidden_channels: of the first convolution, 128.
        kernel_size: k, odd, 7.
        dilation: d, 2.
        batch_norm: norm before the softmax, True.
    """

    def __init__(
        self,
        channels: int,
        *,
        hidden_channels: PositiveInt = 128,
        kernel_size: OddInt = KERNEL_SIZE,
        dilation: PositiveInt = DILATION,
        batch_norm: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.dilation = kernel_size, dilation
        weights = kernel_size**2
        dd: Any = {"device": device, "dtype": dtype}
        around: Any = {"padding": dilation * (kernel_size // 2), "dilation": dilation}
        self.conv = nn.Conv2d(channels, hidden_channels, kernel_size, **around, **dd)
        self.weigh = nn.Conv2d(hidden_channels, weights, 1, **dd)
        self.bn = nn.BatchNorm2d(weights, **dd) if batch_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return weighted_sum(x, self.attention(x), self.kernel_size, self.dilation)

    def attention(self, x: Tensor) -> Tensor:
        """The weights of the neighbours, (B, k * k, H, W)."""
        return torch.softmax(self.bn(self.weigh(F.relu(self.conv(x)))), 1)


def read_padding(options: Mapping[str, Any]) -> dict[str, Any]:
    """The authors state the padding; it must be d (k - 1) / 2, which keeps the size of the map."""
    own = dict(options)
    padding = own.pop("padding", None)
    size, dilation = own.get("kernel_size", KERNEL_SIZE), own.get("dilation", DILATION)
    if padding is not None and 2 * padding != dilation * (size - 1):
        what = f"padding={padding!r} does not keep the size of the map"
        refuse("picanet_local", what, "leave padding= out")
    return own


def reference_call(module: PicanetLocal, x: Tensor) -> tuple[Tensor, Tensor]:
    """What a reference case records: the output and the attention."""
    attention = module.attention(x)
    return weighted_sum(x, attention, module.kernel_size, module.dilation), attention
