"""NAM, normalization-based attention (Liu, Shao, Teng, Hoffmann, 2021, arXiv 2111.12419, eq. 2).

    w_c = |gamma_c| / sum_j |gamma_j|           gamma: the scales of BN
    y = x * sigmoid(w_c BN(x))

x, y: (B, C, H, W); the gate has the shape of x. The paper writes w without absolute values. In the
authors' code, followed here, no gradient reaches gamma through w, only through BN(x). With many
channels w is near 1 / C and the gate near 0.5. Scales that are all zero, where the code divides by
zero, give w = 0.

The code has this channel half only; of the paper's spatial half, which scales positions by norms
over them, no code was published, and it is not here. The authors' training adds an L1 penalty on
gamma to the loss.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk.precision import widened


class NormalizationBased(nn.Module):
    """(B, C, H, W) -> the same shape, each element scaled by a gate in (0, 1).

    Args:
        channels: C.
    """

    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        scales = widened(self.bn.weight.detach()).abs()
        share = F.normalize(scales, p=1.0, dim=0)
        gate = torch.sigmoid(self.bn(x) * share[:, None, None])
        return x * gate.to(x.dtype)
