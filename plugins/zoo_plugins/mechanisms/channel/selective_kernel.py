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
from typing import Any

import torch
from timm.layers import SelectiveKernel as TimmSelectiveKernel
from torch import Tensor, nn

from zoo.sdk.options import (
    agree,
    check_choice,
    check_divisible,
    check_int,
    hidden_width,
    refuse,
)

NAME = "selective_kernel"


class SelectiveKernel(TimmSelectiveKernel):
    """(B, C_in, H, W) -> (B, C, H / stride, W / stride).

    Args:
        channels: C, of the output. in_channels: of the input, by default C.
        kernel_size: one odd number a path (an int: the same for `num_paths` paths).
        stride, groups: of every path.
        dilation: of the whole; a list gives each path's own, which must follow from the rest.
        keep_3x3: a path of kernel k becomes 3x3 with dilation (k - 1) / 2.
        split_input: each path sees its share of the input (timm's default, not the paper's).
        reduction: r, 16. reduced_channels, rd_channels: d itself; rd_ratio, rd_divisor: timm's.
        act_layer, norm_layer, aa_layer, drop_layer: of the paths, as in timm.
        bias, norm: must be False and `"batch"`.
    """

    def __init__(
        self,
        channels: int,
        *,
        in_channels: int | None = None,
        kernel_size: int | Sequence[int] | None = None,
        stride: int = 1,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        reduction: float | None = None,
        reduced_channels: int | None = None,
        num_paths: int | None = None,
        keep_3x3: bool = True,
        split_input: bool = False,
        bias: bool = False,
        norm: str = "batch",
        rd_ratio: float | None = None,
        rd_channels: int | None = None,
        rd_divisor: int = 8,
        act_layer: Any = nn.ReLU,
        norm_layer: Any = nn.BatchNorm2d,
        aa_layer: Any = None,
        drop_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        channels = check_int(NAME, "channels", channels)
        inputs = channels if in_channels is None else check_int(NAME, "in_channels", in_channels)
        kernels = _kernels(kernel_size, num_paths)
        base = _base_dilation(dilation, kernels, keep_3x3)
        groups = check_int(NAME, "groups", groups)
        if split_input:
            check_divisible(NAME, "in_channels", inputs, "num_paths", len(kernels))
        share = inputs // len(kernels) if split_input else inputs
        check_divisible(NAME, "channels of a path's input", share, "groups", groups)
        check_divisible(NAME, "channels", channels, "groups", groups)
        check_choice(NAME, "bias", bias, (False,))
        check_choice(NAME, "norm", norm, ("batch",))
        width = hidden_width(
            NAME,
            channels,
            default=max(channels // 16, 32),
            minimum=32,
            reduction=reduction,
            reduced_channels=reduced_channels,
            rd_ratio=rd_ratio,
            rd_channels=rd_channels,
            rd_divisor=rd_divisor,
            rd_limit=0.9,
        )
        super().__init__(
            inputs,
            channels,
            kernel_size=kernels,
            stride=check_int(NAME, "stride", stride),
            dilation=base,
            groups=groups,
            rd_channels=width,
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


def _kernels(kernel_size: int | Sequence[int] | None, num_paths: int | None) -> list[int]:
    if kernel_size is None or isinstance(kernel_size, Sequence):
        kernels = list(kernel_size or (3, 5))
        agree(NAME, kernel_size=(kernel_size or kernels, len(kernels)), num_paths=num_paths)
    else:
        kernels = [kernel_size] * check_int(NAME, "num_paths", num_paths or 2)
    for k in kernels:
        if check_int(NAME, "kernel_size", k, 3) % 2 == 0:
            refuse(NAME, f"kernel_size={kernel_size!r} has an even number")
    return [int(k) for k in kernels]


def _base_dilation(dilation: int | Sequence[int], kernels: list[int], keep_3x3: bool) -> int:
    """The dilation of the whole, from itself or from what it makes of each path."""
    if not isinstance(dilation, Sequence):
        return check_int(NAME, "dilation", dilation)
    spread = [(k - 1) // 2 if keep_3x3 else 1 for k in kernels]
    base = check_int(NAME, "dilation", dilation[0]) // spread[0] if dilation else 0
    if not base or [base * s for s in spread] != list(dilation):
        refuse(
            NAME,
            f"dilation={list(dilation)!r} does not follow from kernel_size={kernels!r}",
            f"dilation={spread!r}, or a multiple of it",
        )
    return base
