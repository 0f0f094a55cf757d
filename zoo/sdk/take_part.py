"""Parameters that a forward pass does not use, in training over several processes."""

from __future__ import annotations

from timm.layers import register_notrace_function
from torch import Tensor


@register_notrace_function
def take_part(y: Tensor, parameters: list[Tensor]) -> Tensor:
    """y itself, through which `parameters` get a gradient of zero.

    A mechanism may have parameters that only a loss of its own trains (a critic, a prior), and is
    often trained without that loss. `DistributedDataParallel` waits for a gradient of every
    parameter that requires one, and stops where one never comes.
    """
    for parameter in parameters:
        y = y + parameter.flatten()[:0].sum()  # the sum of nothing: 0, whatever they hold
    return y
