"""Coordinate attention (Hou, Zhou, Feng, CVPR 2021, arXiv 2103.02907, section 3.2).

    f = hswish(BN(F1 [mean_w(x); mean_h(x)]))        (B, C/r, H + W), split into f_h and f_w
    y = x * sigmoid(F_h f_h) * sigmoid(F_w f_w)      (eq. 6 to 9)

x, y: (B, C, H, W); the first gate is (B, C, H, 1), the second (B, C, 1, W). The hidden width is
max(8, C / r), r = 32, and all convolutions have a bias, as in the authors' code. timm's layer, used
here under its (and the authors') parameter names, has neither bias nor that width by default:
`variant="timm"`.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from timm.layers.coord_attn import CoordAttn
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, bottleneck_width, zero_
from zoo.sdk.fused import gate_axes


class CoordinateAttention(CoordAttn):
    """(B, C, H, W) -> the same shape, each row and each column of each channel scaled.

    Args:
        channels: C.
        reduction: r, by default 32; in `timm` 24, rounded to a multiple of 8. At least 8 hidden
            channels.
        reduced_channels: the hidden width itself.
        bias: of the convolutions; by default as the variant has it.
        variant: `official` (the authors' code: biases) or `timm` (none).
        norm: `batch` or `none`.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat | None = None,
        reduced_channels: PositiveInt | None = None,
        bias: bool | None = None,
        norm: Literal["batch", "none"] = "batch",
        variant: Literal["official", "timm"] = "official",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        official = variant == "official"
        width = None  # timm's own
        if official or reduction is not None or reduced_channels is not None:
            width = bottleneck_width(channels, reduction or 32, reduced_channels, minimum=8)
        super().__init__(
            channels,
            rd_channels=width,
            bias=official if bias is None else bias,
            norm_layer=nn.BatchNorm2d if norm == "batch" else None,
            device=device,
            dtype=dtype,
        )

    def forward(self, x: Tensor) -> Tensor:
        means = torch.cat([x.mean(3, keepdim=True), x.mean(2, keepdim=True).transpose(2, 3)], 2)
        f = self.act(self.bn1(self.conv1(means)))
        f_h, f_w = torch.split(f, [x.shape[2], x.shape[3]], 2)
        by_row, by_column = self.conv_h(f_h), self.conv_w(f_w.transpose(2, 3))
        return gate_axes(x, self.gate(by_row), self.gate(by_column))  # pyright: ignore[reportOptionalCall]

    def init_identity(self) -> float:
        """Start as 0.25 x by zero last layers; what is before them learns from step two."""
        zero_(self.conv_h, self.conv_w)
        return 0.25
