"""A map (B, C, H, W) as rows (B, R, L), which is all that most kernels know of it.

By channel, the rows are channels, and L counts the P = H W positions. By position, the rows are
positions, and L counts channels. So one kernel serves a gate for each channel and one for each
position, and strides serve both memory formats.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Rows(NamedTuple):
    """The sizes (B, R, L) of a map seen as rows, and the strides of the three, in elements."""

    batch: int
    rows: int
    length: int
    strides: tuple[int, int, int]

    @property
    def tile(self) -> tuple[int, int]:
        """How many rows and how many of their elements a program reads at once.

        A tile is long in the direction in which memory is read one element after the other.
        """
        along = self.strides[2] <= self.strides[1]
        rows, length = (4, 512) if along else (64, 32)
        return min(rows, power(self.rows)), min(length, power(self.length))

    @property
    def programs(self) -> int:
        return self.batch * -(-self.rows // self.tile[0])


def rows_of(x: Tensor, by_channel: bool) -> Rows:
    """The map as rows: by channel, or by position."""
    b, c, h, w = x.shape
    sb, sc, sh, sw = x.stride()
    sp = sh if w == 1 else sw
    if by_channel:
        return Rows(b, c, h * w, (sb, sc, sp))
    return Rows(b, h * w, c, (sb, sp, sc))


def lies_in_order(x: Tensor) -> bool:
    """Whether one stride leads from each position to the next, across the ends of the lines."""
    h, w = x.shape[2:]
    return h == 1 or w == 1 or x.stride(2) == w * x.stride(3)


def in_order(x: Tensor) -> Tensor:
    """`x`, copied if its positions do not lie in order."""
    return x if lies_in_order(x) else x.contiguous()


def power(size: int) -> int:
    """The least power of two that is not below `size`."""
    return 1 << max(size - 1, 0).bit_length()
