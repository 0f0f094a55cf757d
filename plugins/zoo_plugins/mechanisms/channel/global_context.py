"""Global context block (Cao et al., ICCVW 2019, arXiv 1904.11492, section 3.3).

    c = sum_j softmax_j(w . x_j) x_j                      one attention map for all positions
    t = W2 relu(LN(W1 c + b1)) + b2
    y = x + t   (channel_add, the default)   or   x * sigmoid(t)   (channel_mul)

x, y: (B, C, H, W); W1: (C/r, C). With both fusions the product comes first, each with its own
bottleneck on the same c. The layer is timm's, under timm's parameter names; timm's default is the
product alone, r = 8, and an epsilon of 1e-6 in the norm, where the authors have 1e-5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from timm.layers import GlobalContext as TimmGlobalContext
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, bottleneck_width, refuse, zero_
from zoo.sdk.fused import gate_channels, position_mean, weighted_sum

Fusion = Literal["channel_add", "channel_mul"]


class GlobalContext(TimmGlobalContext):
    """(B, C, H, W) -> the same shape, each position shifted (or scaled) by one global vector.

    Args:
        channels: C.
        reduction: r; by default 16, but with at least 4 hidden channels.
        reduced_channels: the width of the hidden layer itself, instead of C / r.
        pooling: `att`, or `avg` for a plain mean.
        fusion: `channel_add`, `channel_mul` or both.
        norm_eps: of the layer norm, 1e-5.
        act_layer, gate_layer: as in timm.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat | None = None,
        reduced_channels: PositiveInt | None = None,
        pooling: Literal["att", "avg"] = "att",
        fusion: Fusion | Sequence[Fusion] = ("channel_add",),
        norm_eps: PositiveFloat = 1e-5,
        act_layer: Any = nn.ReLU,
        gate_layer: Any = "sigmoid",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if not fusion:
            refuse("global_context", f"fusion={fusion!r} fuses nothing", 'fusion="channel_add"')
        least = 4 if reduction is None else 1
        super().__init__(
            channels,
            use_attn=pooling == "att",
            fuse_add="channel_add" in fusion,
            fuse_scale="channel_mul" in fusion,
            rd_channels=bottleneck_width(
                channels, reduction or 16, reduced_channels, minimum=least
            ),
            act_layer=act_layer,
            gate_layer=gate_layer,
            device=device,
            dtype=dtype,
        )
        for layer in self.modules():
            if isinstance(layer, nn.LayerNorm):
                layer.eps = norm_eps

    def forward(self, x: Tensor) -> Tensor:
        if self.conv_attn is not None:
            context = weighted_sum(x, torch.flatten(self.conv_attn(x), 2).softmax(-1))
        else:
            context = position_mean(x)
        if self.mlp_scale is not None:
            x = gate_channels(x, self.gate(self.mlp_scale(context)))  # pyright: ignore[reportOptionalCall]
        if self.mlp_add is not None:
            x = x + self.mlp_add(context)
        return x

    def init_identity(self) -> float:
        """Start as c * x by zero last layers, as published.

        Returns c: 1, or 0.5 where channel_mul takes part.
        """
        for mlp in (self.mlp_add, self.mlp_scale):
            zero_(mlp.fc2 if mlp is not None else None)
        return 1.0 if self.mlp_scale is None else self.get_submodule("gate")(torch.zeros(1)).item()
