"""Multi-context attention (Chu et al., CVPR 2017, arXiv 1702.07432, section 4).

    U = conv3x3(x)                                                (B, 1, H, W)
    Q_1 = sigmoid(W U + U),   Q_i = sigmoid(W Q_{i-1} + U)        mean-field steps of a CRF, i <= n
    y = x * Q_n

x, y: (B, C, H, W); W: one k x k convolution of one plane, with a bias, shared by all steps. That is
the holistic attention, and what `forward` gives. With parts, each has an attention of its own:

    score_p = h_p (y * Q^p) + b_p = Q^p (h_p y) + b_p             (B, P, H, W), Q^p computed from y

`attend(x)` gives y, Q_n, the scores and Q^p. The authors' stacked hourglass ends its stacks 1 to 4
with the first and 5 to 8 with both. Their code's default k is 1, which makes W a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import Count, OddInt, PositiveInt, zero_


class MultiContext(nn.Module):
    """(B, C, H, W) -> the same shape, scaled by one attention map.

    Args:
        channels: C.
        kernel_size: k, odd, 3.
        iters: n, the number of mean-field steps, 3.
        num_parts: P, 0 (the holistic attention alone).
        bias: of all convolutions, True.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: OddInt = 3,
        iters: PositiveInt = 3,
        num_parts: Count = 0,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"bias": bias, "device": device, "dtype": dtype}
        self.holistic = MeanField(channels, 1, kernel_size, iters, dd)
        self.parts = self.heads = None
        if num_parts:
            self.parts = MeanField(channels, num_parts, kernel_size, iters, dd)
            self.heads = nn.Conv2d(channels, num_parts, 1, **dd)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.holistic(x)

    def attend(self, x: Tensor) -> dict[str, Tensor]:
        """`y` and `attention`; with parts also `part_scores` and `part_attention`."""
        attention = self.holistic(x)
        y = x * attention
        found = {"y": y, "attention": attention}
        if self.parts is None or self.heads is None:
            return found
        of_parts = self.parts(y)
        scores = F.conv2d(y, self.heads.weight) * of_parts
        if self.heads.bias is not None:
            scores = scores + self.heads.bias[:, None, None]
        return {**found, "part_scores": scores, "part_attention": of_parts}

    def init_identity(self) -> float:
        """Start as 0.5 x: U and W are zero."""
        zero_(self.holistic.conv_u, self.holistic.sp_conv)
        return 0.5


class MeanField(nn.Module):
    """(B, C, H, W) -> P attention maps, each from its own plane: (B, P, H, W)."""

    def __init__(
        self, channels: int, planes: int, kernel_size: int, iters: int, dd: dict[str, Any]
    ) -> None:
        super().__init__()
        self.conv_u = nn.Conv2d(channels, planes, 3, padding=1, **dd)
        padding = kernel_size // 2
        self.sp_conv = nn.Conv2d(planes, planes, kernel_size, padding=padding, groups=planes, **dd)
        self.iters = iters

    def forward(self, x: Tensor) -> Tensor:
        unary = self.conv_u(x)
        q = unary
        for _ in range(self.iters):
            q = torch.sigmoid(self.sp_conv(q) + unary)
        return q


def carry_keys(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The authors have a block and a head for each part; here they are planes of one."""
    found = dict(state)
    for kind in ("parts.conv_u", "parts.sp_conv", "heads"):
        block, _, layer = kind.partition(".")
        for what in ("weight", "bias"):
            tail = f"{layer}.{what}" if layer else what
            keys = [f"{block}.{i}.{tail}" for i in range(len(state))]
            planes = [found.pop(key) for key in keys if key in found]
            if planes:
                found[f"{kind}.{what}"] = torch.cat(planes)
    return found


def reference_call(module: MultiContext, x: Tensor) -> dict[str, Tensor]:
    """What a reference case records: all that `attend` gives."""
    return module.attend(x)
