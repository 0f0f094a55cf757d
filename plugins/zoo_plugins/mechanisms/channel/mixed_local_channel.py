"""MLCA, mixed local channel attention (Wan et al., Eng. Appl. Artif. Intell. 123, 2023).

    l = pool_LxL(x)                                     (B, C, L, L), adaptive average pooling
    a_l = sigmoid(conv1d_k(l))                          (B, C, L, L)
    a_g = sigmoid(conv1d_k(mean(l)))                    (B, C, 1, 1)
    y = x * unpool(p a_l + (1 - p) a_g)                 p: local_weight

x, y: (B, C, H, W). Each convolution runs over the ordered channels with one kernel of k weights,
zero-padded and without a bias; k follows C as in ECA-Net.

As in the authors' code:
- The local convolution runs over one sequence of L * L * C numbers, position by position, so that
  at either end of the channels it reads those of the neighbouring position, not zeros.
- The global mean is of l; it is that of x only where L divides H and W.
- `unpool` is adaptive average pooling to (H, W): it repeats where H and W are multiples of L, and
  averages neighbouring cells elsewhere.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveFloat, PositiveInt, Share
from zoo_plugins.mechanisms.channel.eca import adaptive_kernel


class MixedLocalChannel(nn.Module):
    """(B, C, H, W) -> the same shape, each region of each channel scaled by a gate in (0, 1).

    Args:
        channels: C.
        local_size: L, the regions along each side, 5.
        kernel_size: k, odd; by default from C, with gamma and beta.
        gamma, beta: gamma and b of ECA-Net's formula for k, 2 and 1.
        local_weight: p, the share of the local gate from 0 to 1, 0.5.
    """

    def __init__(
        self,
        channels: int,
        *,
        local_size: PositiveInt = 5,
        kernel_size: OddInt | None = None,
        gamma: PositiveFloat = 2,
        beta: float = 1,
        local_weight: Share = 0.5,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.local_size, self.local_weight = local_size, local_weight
        k = kernel_size or adaptive_kernel(channels, gamma, beta)
        conv: Any = {"padding": k // 2, "bias": False, "device": device, "dtype": dtype}
        self.conv_local = nn.Conv1d(1, 1, k, **conv)
        self.conv = nn.Conv1d(1, 1, k, **conv)

    def forward(self, x: Tensor) -> Tensor:
        local = F.adaptive_avg_pool2d(x, self.local_size)
        around = torch.sigmoid(self.along_positions(local))
        whole = torch.sigmoid(self.conv(local.mean((2, 3)).unsqueeze(1))).mT.unsqueeze(3)
        gate = self.local_weight * around + (1 - self.local_weight) * whole
        return x * F.adaptive_avg_pool2d(gate, (x.shape[2], x.shape[3]))

    def along_positions(self, local: Tensor) -> Tensor:
        """(B, C, L, L) -> the same shape, the channels of one position after those of another."""
        channels_last = local.permute(0, 2, 3, 1)
        y = self.conv_local(channels_last.flatten(1).unsqueeze(1))
        return y.reshape(channels_last.shape).permute(0, 3, 1, 2)

    def init_identity(self) -> float:
        """Start as 0.5 x by zero kernels, which learn from the first step; returns 0.5."""
        nn.init.zeros_(self.conv_local.weight)
        nn.init.zeros_(self.conv.weight)
        return 0.5

    def extra_repr(self) -> str:
        return f"local_size={self.local_size}, local_weight={self.local_weight}"
