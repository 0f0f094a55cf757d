"""The width of a bottleneck: one rule for every mechanism that has one."""

from __future__ import annotations

import math


def bottleneck_width(
    channels: int, reduction: float, reduced_channels: int | None = None, *, minimum: int = 1
) -> int:
    """`reduced_channels` where it is given, else floor(C / reduction), and at least `minimum`.

    A constructor takes `reduction` and `reduced_channels` and hands them on. Other names for the
    same width (`rd_ratio`, `rd_channels`, `ratio`) are read before, by `OptionNames(width=Width())`
    in the spec, which also refuses a reduction that leaves no channel.
    """
    if reduced_channels is not None:
        return reduced_channels
    return max(minimum, math.floor(channels / reduction + 1e-9))  # 49 / 49.0 may be 0.99...
