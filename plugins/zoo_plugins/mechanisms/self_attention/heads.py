"""Numbers of heads, sizes and geometry that several self-attentions share."""

from __future__ import annotations

from timm.layers import make_divisible
from torch import nn

from zoo.sdk import check_divisible, refuse


def largest_divisor(value: int, at_most: int) -> int:
    """The largest divisor of `value` that is not above `at_most`."""
    return next(n for n in range(min(value, max(1, at_most)), 0, -1) if value % n == 0)


def split_heads(
    name: str, width: int, *, num_heads: int | None, head_dim: int | None, default: int
) -> tuple[int, int]:
    """(heads, channels of each) of `width`, from either option; they must agree.

    `default` is the number of heads if neither is given, lowered to a divisor of `width`.
    """
    count = num_heads
    if head_dim is not None:
        count = width // head_dim
        if num_heads not in (None, count):
            what = f"num_heads={num_heads} and head_dim={head_dim} contradict each other"
            refuse(name, f"{what} at {width} channels", "give one of num_heads= and head_dim=")
    if count is None:
        count = largest_divisor(width, default)
    if count < 1:
        refuse(name, f"{width} channels are no heads of num_heads={num_heads}, head_dim={head_dim}")
    check_divisible(name, "channels", width, "num_heads", count)
    return count, width // count


def value_heads(
    name: str,
    channels: int,
    num_heads: int | None,
    head_dim: int | None,
    qk_ratio: float,
    *,
    default: int,
) -> tuple[int, int]:
    """(heads, channels of q and k in each) where the values' heads divide `channels` among them.

    As timm: `qk_ratio` times the channels, to a multiple of 8, are shared out among the heads
    unless `head_dim` is given.
    """
    heads = largest_divisor(channels, default) if num_heads is None else num_heads
    check_divisible(name, "channels", channels, "num_heads", heads)
    shared = max(1, make_divisible(channels * qk_ratio, 8) // heads)
    return heads, shared if head_dim is None else head_dim


def in_and_out(channels: int, in_channels: int | None, out_channels: int | None) -> tuple[int, int]:
    """Channels of the input and the output: `channels`, unless named apart."""
    return (
        channels if in_channels is None else in_channels,
        channels if out_channels is None else out_channels,
    )


def down_pool(stride: int, ceil_mode: bool = False) -> nn.Module:
    """Average pooling by `stride`, nothing for 1; odd sizes are rounded down, or up."""
    return nn.AvgPool2d(stride, stride, ceil_mode=ceil_mode) if stride > 1 else nn.Identity()
