"""Numbers of heads, sizes and geometry that several self-attentions share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timm.layers import make_divisible
from torch import nn

from zoo.sdk.options import (
    agree,
    check_divisible,
    check_int,
    check_number,
    refuse,
)


def largest_divisor(value: int, at_most: int) -> int:
    """The largest divisor of `value` that is not above `at_most`."""
    return next(n for n in range(min(value, max(1, at_most)), 0, -1) if value % n == 0)


def split_heads(
    name: str, width: int, *, num_heads: int | None, head_dim: int | None, default: int
) -> tuple[int, int]:
    """(heads, channels of each) of `width`, from either option; they must agree.

    `default` is the number of heads if neither is given, lowered to a divisor of `width`.
    """
    implied = None
    if head_dim is not None:
        implied = (head_dim, width // check_int(name, "head_dim", head_dim))
    count = agree(name, num_heads=num_heads, head_dim=implied)
    count = largest_divisor(width, default) if count is None else count
    count = check_int(name, "num_heads", count)
    check_divisible(name, "channels", width, "num_heads", count)
    return count, width // count


def in_and_out(
    name: str, channels: int, in_channels: int | None, out_channels: int | None
) -> tuple[int, int]:
    """Channels of the input and the output: `channels`, unless named apart."""
    found = (in_channels, out_channels)
    both = (channels if value is None else value for value in found)
    inputs, outputs = (check_int(name, "channels", value) for value in both)
    return inputs, outputs


def map_size(name: str, feat_size: Any) -> tuple[int, int]:
    """`feat_size` as (H, W); a number is a square map."""
    pair: Sequence[Any] = feat_size if isinstance(feat_size, (tuple, list)) else (feat_size,) * 2
    if len(pair) != 2:
        refuse(name, f"feat_size={feat_size!r} is not (H, W)", "feat_size=(14, 14)")
    height, width = (check_int(name, "feat_size", side) for side in pair)
    return height, width


def value_heads(
    name: str,
    channels: int,
    num_heads: int | None,
    head_dim: int | None,
    qk_ratio: float,
    *,
    default: int,
) -> tuple[int, int]:
    """(heads, channels of q and k in each) where the values' heads divide `channels` among them."""
    heads = largest_divisor(channels, default) if num_heads is None else num_heads
    heads = check_int(name, "num_heads", heads)
    check_divisible(name, "channels", channels, "num_heads", heads)
    if head_dim is not None:
        return heads, check_int(name, "head_dim", head_dim)
    ratio = check_number(name, "qk_ratio", qk_ratio)
    return heads, max(1, make_divisible(channels * ratio, 8) // heads)


def down_pool(stride: int, ceil_mode: bool = False) -> nn.Module:
    """Average pooling by `stride`, nothing for 1; odd sizes are rounded down, or up."""
    return nn.AvgPool2d(stride, stride, ceil_mode=ceil_mode) if stride > 1 else nn.Identity()
