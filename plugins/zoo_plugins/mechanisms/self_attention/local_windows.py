"""What the variants of stand-alone self-attention share: windows, offsets, heads and geometry."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.sdk import check_divisible, refuse

NAME = "stand_alone"


def windows(x: Tensor, kernel_size: int, stride: int = 1) -> Tensor:
    """(B, C, H + 2p, W + 2p) -> (B, C, H', W', k, k), a view."""
    return x.unfold(2, kernel_size, stride).unfold(3, kernel_size, stride)


def row_and_column(rel_h: Tensor, rel_w: Tensor) -> tuple[Tensor, Tensor]:
    """Tables (..., d, k) of the vertical and the horizontal offset, at each place of the window.

    Returns:
        Both as (..., d, k, k).
    """
    k = rel_h.shape[-1]
    rows = rel_h.unsqueeze(-1).expand(rel_h.shape + (k,))
    columns = rel_w.unsqueeze(-2).expand(rel_w.shape[:-1] + (k, k))
    return rows, columns


def offsets(rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """r at each place of the window, (..., d, k, k): channels of the vertical offset come first."""
    return torch.cat(row_and_column(rel_h, rel_w), -3)


def heads_of_both(inputs: int, outputs: int, heads: int | None) -> int:
    """`heads`, or the most up to 8 that divide both, with an even width if there is one."""
    if heads is None:
        fits = [n for n in range(1, 9) if inputs % n == 0 and outputs % n == 0]
        return max(fits, key=lambda n: (outputs // n % 2 == 0, n))
    check_divisible(NAME, "in_channels", inputs, "num_heads", heads)
    check_divisible(NAME, "out_channels", outputs, "num_heads", heads)
    return heads


def require_odd(kernel_size: int) -> None:
    """An even window has no middle."""
    if kernel_size % 2 == 0:
        refuse(NAME, f"kernel_size={kernel_size} does not keep the size", "an odd kernel_size=")
