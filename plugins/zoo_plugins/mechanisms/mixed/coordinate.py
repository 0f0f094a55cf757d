"""Coordinate attention (Hou, Zhou, Feng, CVPR 2021, arXiv 2103.02907, section 3.2).

    f = hswish(BN(F1 [mean_w(x); mean_h(x)]))        (B, C/r, H + W), split into f_h and f_w
    y = x * sigmoid(F_h f_h) * sigmoid(F_w f_w)      (eq. 6 to 9)

x, y: (B, C, H, W); the first gate is (B, C, H, 1), the second (B, C, 1, W). The hidden width is
max(8, C / r), r = 32, and all convolutions have a bias, as in the authors' code. timm's layer, used
here under its (and the authors') parameter names, has neither bias nor that width by default:
`variant="timm"`.
"""

from __future__ import annotations

from typing import Any

from timm.layers.coord_attn import CoordAttn
from torch import nn

from zoo.sdk.identity import zero_
from zoo.sdk.options import check_bool, check_choice, check_int, hidden_width

NAME = "coordinate"
MINIMUM = 8  # hidden channels


class CoordinateAttention(CoordAttn):
    """(B, C, H, W) -> the same shape, each row and each column of each channel scaled.

    Args:
        channels: C.
        reduction: r, 32. reduced_channels, rd_channels, rd_ratio, rd_divisor: in other terms.
        bias: of the convolutions; True, in `timm` False.
        variant: `official` (the authors' code) or `timm`: width and bias unless given.
        norm: `batch` or `none`.
        act_layer: not used (timm's builders hand one to every attention); hard swish always.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: float | None = None,
        reduced_channels: int | None = None,
        bias: bool | None = None,
        norm: str = "batch",
        variant: str = "official",
        rd_ratio: float | None = None,
        rd_channels: int | None = None,
        rd_divisor: int = 8,
        act_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        channels = check_int(NAME, "channels", channels)
        timm = check_choice(NAME, "variant", variant, ("official", "timm")) == "timm"
        if timm and reduction is reduced_channels is rd_channels is rd_ratio is None:
            rd_ratio = 1 / 24  # 1 / 16 * 2 / 3, timm's
        width = hidden_width(
            NAME,
            channels,
            default=max(MINIMUM, channels // 32),
            minimum=MINIMUM,
            reduction=reduction,
            reduced_channels=reduced_channels,
            rd_ratio=rd_ratio,
            rd_channels=rd_channels,
            rd_divisor=rd_divisor,
        )
        normed = check_choice(NAME, "norm", norm, ("batch", "none")) == "batch"
        super().__init__(
            channels,
            rd_channels=width,
            bias=not timm if bias is None else check_bool(NAME, "bias", bias),
            norm_layer=nn.BatchNorm2d if normed else None,
            device=device,
            dtype=dtype,
        )

    def init_identity(self) -> float:
        """Start as 0.25 x by zero last layers; what is before them learns from step two."""
        zero_(self.conv_h, self.conv_w)
        return 0.25
