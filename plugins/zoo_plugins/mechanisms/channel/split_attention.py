"""Split attention (Zhang et al., CVPRW 2022, arXiv 2004.08955, section 3.1): ResNeSt's convolution.

    U = relu(BN(conv(x)))                    radix R splits of C maps, K * R groups
    z = relu(BN(W1 mean_hw(sum_r U_r) + b1))
    y = sum_r softmax_r(W2 z + b2)_r * U_r   (sigmoid if R = 1, which is SE)

x: (B, C_in, H, W), y: (B, C, H', W'). It replaces the 3x3 convolution of a block, with its norm and
ReLU. Splits lie radix-major along the channels, as in the authors' code. Hidden width:
max(C_in R // 4, 32). Parameter names are the authors' and timm's. timm's layer is not used: it
rounds the width to multiples of 8 and forgets the dilation in its padding.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers.split_attn import RadixSoftmax
from torch import Tensor, nn

from zoo.sdk.options import check_choice, check_divisible, check_int, hidden_width

NAME = "split_attention"


class SplitAttention(nn.Module):
    """(B, C_in, H, W) -> (B, C, H', W'); the same height and width if stride is 1.

    Args:
        channels: C, of the output. in_channels: of the input, by default C.
        kernel_size, stride, dilation: of the convolution, 3, 1, 1.
        padding: by default what keeps the size.
        groups: K, the cardinality.
        radix: R, 2.
        reduction: 4. reduced_channels: the hidden width itself; rd_channels: it over R, as in timm;
            rd_ratio, rd_divisor: timm's rule.
        bias: of the convolution; no by default, since a norm follows.
        norm: `batch` or `none`; norm_layer: the class, as in timm.
        act_layer, drop_layer: as in timm.
    """

    def __init__(
        self,
        channels: int,
        *,
        in_channels: int | None = None,
        kernel_size: int = 3,
        stride: int = 1,
        padding: int | None = None,
        dilation: int = 1,
        groups: int = 1,
        bias: bool | None = None,
        radix: int = 2,
        reduction: float | None = None,
        reduced_channels: int | None = None,
        norm: str | None = "batch",
        rd_ratio: float | None = None,
        rd_channels: int | None = None,
        rd_divisor: int = 8,
        act_layer: Any = nn.ReLU,
        norm_layer: Any = nn.BatchNorm2d,
        drop_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        channels = check_int(NAME, "channels", channels)
        inputs = channels if in_channels is None else check_int(NAME, "in_channels", in_channels)
        self.radix = check_int(NAME, "radix", radix)
        groups = check_int(NAME, "groups", groups)
        kernel_size = check_int(NAME, "kernel_size", kernel_size)
        dilation = check_int(NAME, "dilation", dilation)
        same = dilation * (kernel_size - 1) // 2
        width = hidden_width(
            NAME,
            inputs * self.radix,
            default=max(inputs * self.radix // 4, 32),
            minimum=32,
            reduction=reduction,
            reduced_channels=reduced_channels,
            rd_ratio=rd_ratio,
            rd_divisor=rd_divisor,
            rd_limit=0.9,
            rd_channels_times_radix=rd_channels and rd_channels * self.radix,
        )
        for name, count, divisor in (
            ("in_channels", inputs, groups * self.radix),
            ("channels", channels, groups),
            ("reduced_channels", width, groups),
        ):
            by = "groups * radix" if name == "in_channels" else "groups"
            check_divisible(NAME, name, count, by, divisor)
        has_norm = check_choice(NAME, "norm", norm, ("batch", "none", None)) == "batch"
        dd: Any = {"device": device, "dtype": dtype}
        make_norm = norm_layer if has_norm and norm_layer else lambda *_, **__: nn.Identity()
        self.conv = nn.Conv2d(
            inputs,
            channels * self.radix,
            kernel_size,
            check_int(NAME, "stride", stride),
            same if padding is None else check_int(NAME, "padding", padding, 0),
            dilation,
            groups * self.radix,
            bias=not has_norm if bias is None else bias,
            **dd,
        )
        self.bn0 = make_norm(channels * self.radix, **dd)
        self.drop = drop_layer() if drop_layer is not None else nn.Identity()
        self.act0 = act_layer(inplace=True)
        self.fc1 = nn.Conv2d(channels, width, 1, groups=groups, **dd)
        self.bn1 = make_norm(width, **dd)
        self.act1 = act_layer(inplace=True)
        self.fc2 = nn.Conv2d(width, channels * self.radix, 1, groups=groups, **dd)
        self.rsoftmax = RadixSoftmax(self.radix, groups)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act0(self.drop(self.bn0(self.conv(x))))
        splits = x.chunk(self.radix, 1)
        pooled = splits[0].mean((2, 3), keepdim=True)
        for i in range(1, self.radix):
            pooled = pooled + splits[i].mean((2, 3), keepdim=True)
        logits = self.fc2(self.act1(self.bn1(self.fc1(pooled))))
        weights = self.rsoftmax(logits).reshape(x.shape[0], -1, 1, 1).chunk(self.radix, 1)
        out = splits[0] * weights[0]
        for i in range(1, self.radix):
            out = torch.addcmul(out, splits[i], weights[i])
        return out
