"""Local PiCANet attention (Liu, Han, Yang, CVPR 2018, arXiv 1708.06433, section 3.2).

    a = softmax_k(BN(W relu(conv(x))))       one weight for each of k x k neighbours
    y(p) = sum_k a_k(p) x(p + offset_k)

x, y: (B, C, H, W); conv: k x k with the dilation d of the neighbourhood, to `hidden_channels`; W:
1x1 to k^2. Outside the map x is zero, and such neighbours do take attention. In the authors'
network x and y are joined and fused by a convolution that is not part of this.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk.options import agree, check_bool, check_int, refuse
from zoo_plugins.mechanisms.spatial.neighbourhood import weighted_sum

NAME = "picanet_local"


class PicanetLocal(nn.Module):
    """(B, C, H, W) -> the same shape; each position attends to its neighbourhood.

    Args:
        channels: C.
        hidden_channels: 128.
        kernel_size: k, odd, 7. dilation: d, 2. padding: must be d (k - 1) / 2, if given.
        batch_norm: norm before the softmax, True.
        act_layer: not used (timm's builders hand one to every attention).
    """

    def __init__(
        self,
        channels: int,
        *,
        hidden_channels: int = 128,
        kernel_size: int = 7,
        dilation: int = 2,
        padding: int | None = None,
        batch_norm: bool = True,
        act_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        channels = check_int(NAME, "channels", channels)
        hidden = check_int(NAME, "hidden_channels", hidden_channels)
        self.kernel_size = check_int(NAME, "kernel_size", kernel_size)
        self.dilation = check_int(NAME, "dilation", dilation)
        if self.kernel_size % 2 == 0:
            refuse(NAME, f"kernel_size={kernel_size} is not odd")
        same = self.dilation * (self.kernel_size // 2)
        agree(NAME, kernel_size=(kernel_size, same), padding=padding)
        weights = self.kernel_size**2
        dd: Any = {"device": device, "dtype": dtype}
        self.conv = nn.Conv2d(
            channels, hidden, self.kernel_size, padding=same, dilation=self.dilation, **dd
        )
        self.weigh = nn.Conv2d(hidden, weights, 1, **dd)
        norm = check_bool(NAME, "batch_norm", batch_norm)
        self.bn = nn.BatchNorm2d(weights, **dd) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return weighted_sum(x, self.attention(x), self.kernel_size, self.dilation)

    def attention(self, x: Tensor) -> Tensor:
        """The weights of the neighbours, (B, k * k, H, W)."""
        return torch.softmax(self.bn(self.weigh(F.relu(self.conv(x)))), 1)


def reference_call(module: PicanetLocal, x: Tensor) -> tuple[Tensor, Tensor]:
    """What a reference case records: the output and the attention."""
    attention = module.attention(x)
    return weighted_sum(x, attention, module.kernel_size, module.dilation), attention
