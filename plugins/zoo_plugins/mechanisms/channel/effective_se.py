"""Effective squeeze-and-excitation (Lee, Park, CVPR 2020, arXiv 1911.06667, section 3.2, eq. 2-3).

    y = x * hard_sigmoid(W mean_hw(x) + b),   hard_sigmoid(v) = relu6(v + 3) / 6

x, y: (B, C, H, W); W: (C, C), one layer without the bottleneck of `se`. The gate is exactly 0 or 1
beyond -3 and 3. The layer is timm's, with the authors' parameter names, which are timm's too.
"""

from __future__ import annotations

from typing import Any, Literal

from timm.layers import EffectiveSEModule

from zoo.sdk import zero_


class EffectiveSqueezeExcite(EffectiveSEModule):
    """(B, C, H, W) -> the same shape, each channel scaled by a gate in [0, 1].

    Args:
        channels: C.
        bias: of the layer, True.
        gate_layer: `hard_sigmoid` or `sigmoid`.
        add_maxpool: squeeze by half the mean and half the maximum, as in timm.
    """

    def __init__(
        self,
        channels: int,
        *,
        bias: bool = True,
        gate_layer: Literal["hard_sigmoid", "sigmoid"] = "hard_sigmoid",
        add_maxpool: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            channels, add_maxpool=add_maxpool, gate_layer=gate_layer, device=device, dtype=dtype
        )
        if not bias:
            self.fc.bias = None

    def init_identity(self) -> float:
        """Start as 0.5 x, the middle of either gate, by a zero layer; returns 0.5."""
        zero_(self.fc)
        return 0.5
