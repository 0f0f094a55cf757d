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

from zoo.sdk import Count, PositiveFloat, PositiveInt, bottleneck_width, check_divisible, refuse

NAME = "split_attention"


class SplitAttention(nn.Module):
    """(B, C_in, H, W) -> (B, C, H', W'); the same height and width if stride is 1.

    Args:
        channels: C, of the output.
        in_channels: C_in, by default C.
        kernel_size, stride, dilation: of the convolution, 3, 1, 1.
        padding: by default what keeps the size.
        groups: K, the cardinality.
        radix: R, 2.
        reduction: C_in R over the hidden width, 4; at least 32 hidden channels.
        reduced_channels: the hidden width itself.
        bias: of the convolution, False.
        norm_layer: after the convolution and the first layer, or None.
        act_layer, drop_layer: as in timm.
    """

    def __init__(
        self,
        channels: int,
        *,
        in_channels: PositiveInt | None = None,
        kernel_size: PositiveInt = 3,
        stride: PositiveInt = 1,
        padding: Count | None = None,
        dilation: PositiveInt = 1,
        groups: PositiveInt = 1,
        radix: PositiveInt = 2,
        reduction: PositiveFloat = 4,
        reduced_channels: PositiveInt | None = None,
        bias: bool = False,
        act_layer: Any = nn.ReLU,
        norm_layer: Any = nn.BatchNorm2d,
        drop_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.radix = radix
        inputs, splits = in_channels or channels, channels * radix
        width = bottleneck_width(inputs * radix, reduction, reduced_channels, minimum=32)
        if padding is None and dilation * (kernel_size - 1) % 2:
            what = f"kernel_size={kernel_size} does not keep the size of the map"
            refuse(NAME, what, f"kernel_size={kernel_size + 1}, or padding=")
        check_divisible(NAME, "in_channels", inputs, "groups * radix", groups * radix)
        check_divisible(NAME, "channels", channels, "groups", groups)
        check_divisible(NAME, "reduced_channels", width, "groups", groups)
        dd: Any = {"device": device, "dtype": dtype}
        conv: Any = {"stride": stride, "dilation": dilation, "groups": groups * radix, "bias": bias}
        conv["padding"] = dilation * (kernel_size - 1) // 2 if padding is None else padding
        make_norm = norm_layer or (lambda *_, **__: nn.Identity())
        self.conv = nn.Conv2d(inputs, splits, kernel_size, **conv, **dd)
        self.bn0 = make_norm(splits, **dd)
        self.drop = nn.Identity() if drop_layer is None else drop_layer()
        self.act0 = act_layer(inplace=True)
        self.fc1 = nn.Conv2d(channels, width, 1, groups=groups, **dd)
        self.bn1 = make_norm(width, **dd)
        self.act1 = act_layer(inplace=True)
        self.fc2 = nn.Conv2d(width, splits, 1, groups=groups, **dd)
        self.rsoftmax = RadixSoftmax(radix, groups)

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
