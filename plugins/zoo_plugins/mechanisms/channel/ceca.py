"""Circular efficient channel attention (Chris Ha, in timm, a variant of ECA-Net, arXiv 1910.03151).

    y = x * sigmoid(conv1d_k(mean_hw(x)))       padded circularly along the channels

x, y: (B, C, H, W); one kernel of k weights, no bias. Channels have no order, so that the first and
the last are as good neighbours as any; `eca` pads with zeros. k follows C as in ECA-Net (eq. 12),
but is at least 3, as in timm, whose layer and parameter name this is.
"""

from __future__ import annotations

import math
from typing import Any

from timm.layers import CecaModule

from zoo.sdk.identity import zero_
from zoo.sdk.options import check_choice, check_int, check_number, refuse


class CircularEfficientChannelAttention(CecaModule):
    """(B, C, H, W) -> the same shape, each channel scaled by a gate in (0, 1).

    Args:
        channels: C.
        kernel_size: k, odd, at most 2 C + 1; by default from C, with gamma and beta (eq. 12).
        bias: must be False: the layer has none.
        gate_layer: as in timm.
        act_layer: not used (timm's builders hand one to every attention).
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int | None = None,
        gamma: float = 2,
        beta: float = 1,
        bias: bool = False,
        gate_layer: Any = "sigmoid",
        act_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        check_choice("ceca", "bias", bias, (False,))
        channels = check_int("ceca", "channels", channels)
        gamma = check_number("ceca", "gamma", gamma)
        beta = check_number("ceca", "beta", beta, above=-math.inf)
        if kernel_size is None:
            t = int(abs(math.log2(channels) + beta) / gamma)
            kernel_size = min(max(t if t % 2 else t + 1, 3), 2 * channels + 1)
        kernel_size = check_int("ceca", "kernel_size", kernel_size)
        if kernel_size % 2 == 0 or kernel_size > 2 * channels + 1:
            refuse(
                "ceca",
                f"kernel_size={kernel_size} is not odd, or wraps around channels={channels} twice",
            )
        super().__init__(kernel_size=kernel_size, gate_layer=gate_layer, device=device, dtype=dtype)

    def init_identity(self) -> float:
        """Start as 0.5 x by a zero kernel; returns 0.5."""
        zero_(self.conv)
        return 0.5
