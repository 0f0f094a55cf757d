"""Efficient channel attention (Wang et al., CVPR 2020, arXiv 1910.03151, section 3).

    y = x * sigmoid(conv1d_k(mean_hw(x)))

x, y: (B, C, H, W); a convolution over the ordered channels, zero-padded, one kernel of k weights,
no bias. k follows C (eq. 12): |log2(C) / gamma + b / gamma|, to the next odd number, gamma = 2,
b = 1. The authors' ResNets set k by hand for each stage (3, 5, 5, 7 in the released ResNet-50; the
formula gives 5, 5, 5, 7). The layer and its parameter name are timm's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from timm.layers import EcaModule

from zoo.sdk import OddInt, PositiveFloat, refuse, zero_


class EfficientChannelAttention(EcaModule):
    """(B, C, H, W) -> the same shape, each channel scaled by a gate in (0, 1).

    Args:
        channels: C.
        kernel_size: k, odd; by default from C, with gamma and beta (eq. 12). A mapping from C to k
            serves a whole network.
        gamma, beta: gamma and b of the formula, 2 and 1.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: OddInt | Mapping[int | str, OddInt] | None = None,
        gamma: PositiveFloat = 2,
        beta: float = 1,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if isinstance(kernel_size, Mapping):
            kernel_size = _of_channels(kernel_size, channels)
        if kernel_size is None:
            kernel_size = adaptive_kernel(channels, gamma, beta)
        super().__init__(kernel_size=kernel_size, device=device, dtype=dtype)

    def init_identity(self) -> float:
        """Start as 0.5 x by a zero kernel; returns 0.5."""
        zero_(self.conv)
        return 0.5


def adaptive_kernel(channels: int, gamma: float, beta: float) -> int:
    """k of eq. 12: a whole number, made odd."""
    t = int(abs((math.log2(channels) + beta) / gamma))
    return t if t % 2 else t + 1


def _of_channels(kernels: Mapping[int | str, int], channels: int) -> int:
    found = {str(key): kernel for key, kernel in kernels.items()}  # JSON has string keys only
    if str(channels) not in found:
        refuse("eca", f"kernel_size={dict(kernels)!r} has no entry for channels={channels}")
    return found[str(channels)]
