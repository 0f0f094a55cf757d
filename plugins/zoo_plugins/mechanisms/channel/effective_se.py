"""Effective squeeze-and-excitation (Lee, Park, CVPR 2020, arXiv 1911.06667, section 3.2, eq. 2-3).

    y = x * hard_sigmoid(W mean_hw(x) + b),   hard_sigmoid(v) = relu6(v + 3) / 6

x, y: (B, C, H, W); W: (C, C), one layer without the bottleneck of `se`. The gate is exactly 0 or 1
beyond -3 and 3. The layer is timm's, with the authors' parameter names, which are timm's too.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import EffectiveSEModule

from zoo.sdk.identity import zero_
from zoo.sdk.options import agree, check_bool, check_choice, check_int

GATES = ("hard_sigmoid", "sigmoid")


class EffectiveSqueezeExcite(EffectiveSEModule):
    """(B, C, H, W) -> the same shape, each channel scaled by a gate in [0, 1].

    Args:
        channels: C.
        bias: of the layer, True.
        gate: `hard_sigmoid` or `sigmoid`. gate_layer: the same, or any gate of timm's.
        add_maxpool: squeeze by half the mean and half the maximum, as in timm.
        act_layer: not used (timm's builders hand one to every attention).
    """

    def __init__(
        self,
        channels: int,
        *,
        bias: bool = True,
        gate: str | None = None,
        gate_layer: Any = None,
        add_maxpool: bool = False,
        act_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if gate is not None:
            check_choice("effective_se", "gate", gate, GATES)
        super().__init__(
            check_int("effective_se", "channels", channels),
            add_maxpool=check_bool("effective_se", "add_maxpool", add_maxpool),
            gate_layer=agree("effective_se", gate=gate, gate_layer=gate_layer) or GATES[0],
            device=device,
            dtype=dtype,
        )
        if not check_bool("effective_se", "bias", bias):
            self.fc.bias = None

    def init_identity(self) -> float:
        """Start as c * x by a zero layer; returns c, 0.5 by either gate."""
        zero_(self.fc)
        return self.get_submodule("gate")(torch.zeros(1)).item()
