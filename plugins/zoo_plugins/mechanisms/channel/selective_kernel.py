"""Selective kernel convolution (Li, Wang, Hu, Yang, CVPR 2019, arXiv 1903.06586, section 3.1).

    U_p = relu(BN(conv_p(x)))                       a 3x3 path, and a 5x5 one as 3x3 of dilation 2
    z = relu(BN(W mean_hw(sum_p U_p)))              (B, d), d = max(C / r, L), r = 16, L = 32
    y = sum_p softmax_p(A_p z) * U_p

x: (B, C_in, H, W), y: (B, C, H', W'). It replaces the 3x3 convolution of a block. The layer is
timm's under timm's parameter names, with the paper's settings: every path sees the whole input
(timm's default splits it). The paper's ResNeXt has 32 groups; here the groups are the block's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from timm.layers import SelectiveKernel as TimmSelectiveKernel
from torch import Tensor, nn

from zoo.sdk import (
    AtLeast,
    Odd,
    PositiveFloat,
    PositiveInt,
    bottleneck_width,
    check_divisible,
)

NAME = "selective_kernel"


class SelectiveKernel(TimmSelectiveKernel):
    """(B, C_in, H, W) -> (B, C, H / stride, W / stride).

    Args:
        channels: C, of the output.
        in_channels: C_in, by default C.
        kernel_size: one odd number a path, from 3.
        stride, groups: of every path.
        dilation: of the whole, which multiplies that of every path.
        keep_3x3: a path of kernel k becomes 3x3 with dilation (k - 1) / 2.
        split_input: each path sees its share of the input (timm's default, not the paper's).
        reduction: r, 16.
        reduced_channels: d itself.
        act_layer, norm_layer, aa_layer, drop_layer: of the paths, as in timm.
    """

    def __init__(
        self,
        channels: int,
        *,
        in_channels: PositiveInt | None = None,
        kernel_size: Sequence[Annotated[int, AtLeast(3), Odd()]] = (3, 5),
        stride: PositiveInt = 1,
        dilation: PositiveInt = 1,
        groups: PositiveInt = 1,
        keep_3x3: bool = True,
        split_input: bool = False,
        reduction: PositiveFloat = 16,
        reduced_channels: PositiveInt | None = None,
        act_layer: Any = nn.ReLU,
        norm_layer: Any = nn.BatchNorm2d,
        aa_layer: Any = None,
        drop_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        inputs = channels if in_channels is None else in_channels
        paths = len(kernel_size)
        if split_input:
            check_divisible(NAME, "in_channels", inputs, "the number of paths", paths)
        share = inputs // paths if split_input else inputs
        check_divisible(NAME, "channels of a path's input", share, "groups", groups)
        check_divisible(NAME, "channels", channels, "groups", groups)
        super().__init__(
            inputs,
            channels,
            kernel_size=list(kernel_size),
            stride=stride,
            dilation=dilation,
            groups=groups,
            rd_channels=bottleneck_width(channels, reduction, reduced_channels, minimum=32),
            keep_3x3=keep_3x3,
            split_input=split_input,
            act_layer=act_layer,
            norm_layer=norm_layer,
            aa_layer=aa_layer,
            drop_layer=drop_layer,
            device=device,
            dtype=dtype,
        )

    def forward(self, x: Tensor) -> Tensor:
        # timm stacks the paths; pooling each and adding in turn reads and stores less.
        if self.split_input:
            inputs = torch.split(x, self.in_channels // self.num_paths, 1)
            paths = [path(inputs[i]) for i, path in enumerate(self.paths)]
        else:
            paths = [path(x) for path in self.paths]
        pooled = paths[0].mean((2, 3), keepdim=True)
        for path in paths[1:]:
            pooled = pooled + path.mean((2, 3), keepdim=True)
        z = self.attn.act(self.attn.bn(self.attn.fc_reduce(pooled)))
        logits = self.attn.fc_select(z).reshape(x.shape[0], self.num_paths, self.out_channels, 1, 1)
        weights = torch.softmax(logits, 1).unbind(1)
        out = paths[0] * weights[0]
        for i in range(1, self.num_paths):
            out = torch.addcmul(out, paths[i], weights[i])
        return out
