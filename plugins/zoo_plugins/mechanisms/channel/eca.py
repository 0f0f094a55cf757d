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

from zoo.sdk.identity import zero_
from zoo.sdk.options import check_choice, check_int, check_number, refuse


class EfficientChannelAttention(EcaModule):
    """(B, C, H, W) -> the same shape, each channel scaled by a gate in (0, 1).

    Args:
        channels: C.
        kernel_size: k, odd; by default from C, with gamma and beta (eq. 12). A mapping from C to k
            serves a whole network.
        bias: must be False: the layer has none.
        act_layer: not used (timm's builders hand one to every attention).
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int | Mapping[Any, int] | None = None,
        gamma: float = 2,
        beta: float = 1,
        bias: bool = False,
        act_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        check_choice("eca", "bias", bias, (False,))
        channels = check_int("eca", "channels", channels)
        if isinstance(kernel_size, Mapping):
            kernel_size = _of_channels(kernel_size, channels)
        if kernel_size is None:
            kernel_size = _adaptive_kernel(channels, gamma, beta)
        elif check_int("eca", "kernel_size", kernel_size) % 2 == 0:
            refuse("eca", f"kernel_size={kernel_size} is not odd")
        super().__init__(kernel_size=int(kernel_size), device=device, dtype=dtype)

    def init_identity(self) -> float:
        """Start as 0.5 x by a zero kernel; returns 0.5."""
        zero_(self.conv)
        return 0.5


def _of_channels(kernels: Mapping[Any, int], channels: int) -> int:
    found = {str(key): kernel for key, kernel in kernels.items()}  # JSON has string keys only
    if str(channels) not in found:
        refuse("eca", f"kernel_size={dict(kernels)!r} has no entry for channels={channels}")
    return found[str(channels)]


def _adaptive_kernel(channels: int, gamma: float, beta: float) -> int:
    gamma = check_number("eca", "gamma", gamma)
    beta = check_number("eca", "beta", beta, above=-math.inf)
    t = int(abs((math.log2(channels) + beta) / gamma))
    return t if t % 2 else t + 1
