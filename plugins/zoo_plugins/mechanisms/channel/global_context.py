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
from typing import Any

import torch
from timm.layers import GlobalContext as TimmGlobalContext
from torch import nn

from zoo.sdk.identity import zero_
from zoo.sdk.options import (
    agree,
    check_choice,
    check_int,
    check_number,
    hidden_width,
    refuse,
)

FUSIONS = ("channel_add", "channel_mul")


class GlobalContext(TimmGlobalContext):
    """(B, C, H, W) -> the same shape, each position shifted (or scaled) by one global vector.

    Args:
        channels: C.
        reduction: r, 16; at least 4 hidden channels unless a width is asked for.
        ratio: 1 / r, the authors' name. reduced_channels, rd_channels, rd_ratio, rd_divisor:
            the width in other terms.
        pooling: `att`, or `avg` for a plain mean (use_attn=False in timm).
        fusion: `channel_add`, `channel_mul` or both (fuse_add, fuse_scale in timm).
        norm_eps: of the layer norm, 1e-5. norm must be `"layer"`, bias True.
        act_layer, gate_layer: as in timm.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: float | None = None,
        ratio: float | None = None,
        reduced_channels: int | None = None,
        pooling: str | None = None,
        fusion: str | Sequence[str] | None = None,
        bias: bool = True,
        norm: str = "layer",
        norm_eps: float = 1e-5,
        use_attn: bool | None = None,
        fuse_add: bool | None = None,
        fuse_scale: bool | None = None,
        rd_ratio: float | None = None,
        rd_channels: int | None = None,
        rd_divisor: int = 1,
        act_layer: Any = nn.ReLU,
        gate_layer: Any = "sigmoid",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        channels = check_int("global_context", "channels", channels)
        width = hidden_width(
            "global_context",
            channels,
            default=max(4, channels // 16),
            reduction=reduction,
            ratio=ratio,
            reduced_channels=reduced_channels,
            rd_ratio=rd_ratio,
            rd_channels=rd_channels,
            rd_divisor=rd_divisor,
        )
        check_choice("global_context", "bias", bias, (True,))
        check_choice("global_context", "norm", norm, ("layer",))
        add, scale = _fusion(fusion, fuse_add, fuse_scale)
        super().__init__(
            channels,
            use_attn=_pooling(pooling, use_attn),
            fuse_add=add,
            fuse_scale=scale,
            rd_channels=width,
            act_layer=act_layer,
            gate_layer=gate_layer,
            device=device,
            dtype=dtype,
        )
        eps = check_number("global_context", "norm_eps", norm_eps)
        for layer in self.modules():
            if isinstance(layer, nn.LayerNorm):
                layer.eps = eps

    def init_identity(self) -> float:
        """Start as c * x by zero last layers, as published.

        Returns c: 1, or 0.5 where channel_mul takes part.
        """
        for mlp in (self.mlp_add, self.mlp_scale):
            zero_(mlp.fc2 if mlp is not None else None)
        return 1.0 if self.mlp_scale is None else self.get_submodule("gate")(torch.zeros(1)).item()


def _pooling(pooling: str | None, use_attn: bool | None) -> bool:
    if pooling is not None:
        check_choice("global_context", "pooling", pooling, ("att", "avg"))
    attends = pooling and (pooling, pooling == "att")
    return agree("global_context", pooling=attends, use_attn=use_attn) is not False


def _fusion(
    fusion: str | Sequence[str] | None, fuse_add: bool | None, fuse_scale: bool | None
) -> tuple[bool, bool]:
    """Whether to add and whether to scale."""
    names = None if fusion is None else [fusion] if isinstance(fusion, str) else list(fusion)
    for name in names or ():
        check_choice("global_context", "fusion", name, FUSIONS)
    adds, scales = (names and (fusion, kind in names) for kind in FUSIONS)
    add = agree("global_context", fusion=adds, fuse_add=fuse_add)
    scale = agree("global_context", fusion=scales, fuse_scale=fuse_scale)
    add = (not scale) if add is None else add
    if names == [] or not (add or scale):
        refuse("global_context", f"fusion={fusion!r} fuses nothing", 'fusion=("channel_add",)')
    return bool(add), bool(scale)
