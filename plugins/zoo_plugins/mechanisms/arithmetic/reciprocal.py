"""Reciprocal attention (Xia et al., arXiv 1909.08269).

    f = W_f x + b_f,   b = W_b x + b_b                      foreground and background responses
    f'_i = f_i + sum_j softmax_j(f_i . b_j / sqrt(d)) b_j
    b'_j = b_j + sum_i softmax_i(f_i . b_j / sqrt(d)) f_i   the same affinity, read the other way
    y = x + W (f' - b')

x, y: (B, C, H, W); W_f, W_b: 1x1 to d = C/2 channels; W: 1x1 back to C, without bias.

The survey (arXiv 2204.07756, section 2.1.4) only names reciprocal attention, among the arithmetic
ones; this is the paper of that name. No code is known, and only its abstract could be read: the
module takes "initial foreground and background local responses", "models the nonlocal dependencies
between any two pixels of the foreground and background features, which is then aggregated with
local features in a mutual reinforced way"; the two branches, supervised as a salient map and its
complement, are fused at the end. Everything else is a choice made here:
  - both responses are 1x1 convolutions of one map, and are their own queries, keys and values;
  - the affinity is a dot product scaled by d^-1/2, with a softmax over the other response;
  - "aggregated with local features" is a sum;
  - the fusion is a difference, foreground less background, mapped back to a residual that starts
    at zero. There is no loss here that makes f the foreground.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, bottleneck_width, zero_
from zoo_plugins.mechanisms.self_attention.non_local import attend, to_map


class Reciprocal(nn.Module):
    """(B, C, H, W) -> the same shape.

    Args:
        channels: C.
        reduction: C over d, 2.
        reduced_channels: d itself, instead of C / 2.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 2,
        reduced_channels: PositiveInt | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        width = bottleneck_width(channels, reduction, reduced_channels)
        self.scale = width**-0.5
        dd: Any = {"device": device, "dtype": dtype}
        self.foreground = nn.Conv2d(channels, width, 1, **dd)
        self.background = nn.Conv2d(channels, width, 1, **dd)
        self.fuse = nn.Conv2d(width, channels, 1, bias=False, **dd)
        self.init_identity()

    def init_identity(self) -> float:
        """Start as x: W is zero."""
        zero_(self.fuse)
        return 1.0

    def forward(self, x: Tensor) -> Tensor:
        foreground, background = self.branches(x)
        return x + self.fuse(to_map(foreground - background, x))

    def branches(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """f' and b', (B, HW, d) each."""
        f = self.foreground(x).flatten(2).transpose(1, 2)
        b = self.background(x).flatten(2).transpose(1, 2)
        return f + attend(f, b, b, self.scale), b + attend(b, f, f, self.scale)
