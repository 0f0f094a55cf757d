"""Multiply-accumulates of one call, as tables of costs count them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch.utils.flop_counter import FlopCounterMode

T = TypeVar("T")


def count_macs(call: Callable[[], T]) -> tuple[int, T]:
    """Call it, and count the multiply-accumulates of convolutions, matrix products and attention.

    Sums, norms and activations are not counted. This is half of what `torch.utils.flop_counter`
    counts.

    Returns:
        The number, and what the call gave.
    """
    with FlopCounterMode(display=False) as counter:
        result = call()
    return counter.get_total_flops() // 2, result
