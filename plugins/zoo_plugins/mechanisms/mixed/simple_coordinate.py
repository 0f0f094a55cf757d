"""Simplified coordinate attention: timm's experiment after Hou, Zhou, Feng, CVPR 2021.

    f_h = act(F1 mean_w(x)),   f_w = act(F1 mean_h(x))      (B, H, C/r) and (B, W, C/r)
    y = x * sigmoid(F_h f_h + F_w f_w)                      (+ x, with has_skip)

x, y: (B, C, H, W); F1: C -> C/r, F_h and F_w: C/r -> C, linear. Coordinate attention (arXiv
2103.02907) has a batch norm, and multiplies two sigmoids where this adds before one. The layer and
its parameter names are timm's; it has no paper of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from timm.layers import get_act_layer
from timm.layers.coord_attn import SimpleCoordAttn

from zoo.sdk import PositiveFloat, PositiveInt, bottleneck_width, pair_hidden_units_


class SimpleCoordinate(SimpleCoordAttn):
    """(B, C, H, W) -> the same shape, scaled by a gate of a row part and a column part.

    Args:
        channels: C.
        reduction: r; by default the width is timm's, C / 6 to a multiple of 8.
        reduced_channels: the width of the hidden layer itself, instead of C / r.
        bias: of the linear layers.
        has_skip: add x to the output.
        act_layer, gate_layer: as in timm, SiLU and sigmoid.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat | None = None,
        reduced_channels: PositiveInt | None = None,
        bias: bool = True,
        has_skip: bool = False,
        act_layer: Any = "silu",
        gate_layer: Any = "sigmoid",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        width = reduced_channels  # None: timm's own
        if reduction is not None:
            width = bottleneck_width(channels, reduction, reduced_channels)
        super().__init__(
            channels,
            rd_channels=width,
            bias=bias,
            act_layer=get_act_layer(act_layer),  # pyright: ignore[reportArgumentType]
            gate_layer=gate_layer,
            has_skip=has_skip,
            device=device,
            dtype=dtype,
        )

    def init_identity(self) -> float:
        """Start as c x, every parameter learning from the first step; returns c.

        That is 0.5, or 1.5 with the skip.
        """
        pair_hidden_units_(self.fc1, self.fc_h)
        pair_hidden_units_(self.fc1, self.fc_w)
        return self.get_submodule("gate")(torch.zeros(1)).item() + self.has_skip


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """timm's rule for the width, C * rd_ratio * se_factor, as a rd_ratio alone."""
    others = {k: v for k, v in options.items() if k not in ("rd_ratio", "se_factor")}
    if len(others) < len(options):
        others["rd_ratio"] = options.get("rd_ratio", 0.25) * options.get("se_factor", 2 / 3)
    return others
