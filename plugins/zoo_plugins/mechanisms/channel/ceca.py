"""Circular efficient channel attention (Chris Ha, in timm, a variant of ECA-Net, arXiv 1910.03151).

    y = x * sigmoid(conv1d_k(mean_hw(x)))       padded circularly along the channels

x, y: (B, C, H, W); one kernel of k weights, no bias. Channels have no order, so that the first and
the last are as good neighbours as any; `eca` pads with zeros. k follows C as in ECA-Net (eq. 12),
but is at least 3, as in timm, whose layer and parameter name this is.
"""

from __future__ import annotations

from typing import Any

from timm.layers import CecaModule

from zoo.sdk import OddInt, PositiveFloat, refuse, zero_
from zoo_plugins.mechanisms.channel.eca import adaptive_kernel


class CircularEfficientChannelAttention(CecaModule):
    """(B, C, H, W) -> the same shape, each channel scaled by a gate in (0, 1).

    Args:
        channels: C.
        kernel_size: k, odd, at most 2 C + 1; by default from C, with gamma and beta (eq. 12).
        gamma, beta: gamma and b of the formula, 2 and 1.
        gate_layer: as in timm.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: OddInt | None = None,
        gamma: PositiveFloat = 2,
        beta: float = 1,
        gate_layer: Any = "sigmoid",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        most = 2 * channels + 1
        if kernel_size is None:
            kernel_size = min(max(adaptive_kernel(channels, gamma, beta), 3), most)
        if kernel_size > most:
            refuse("ceca", f"kernel_size={kernel_size} wraps around channels={channels} twice")
        super().__init__(kernel_size=kernel_size, gate_layer=gate_layer, device=device, dtype=dtype)

    def init_identity(self) -> float:
        """Start as 0.5 x by a zero kernel; returns 0.5."""
        zero_(self.conv)
        return 0.5
