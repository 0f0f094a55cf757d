"""At which alpha the residual form starts, so that it moves no logit and is not dead."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import nn

from zoo.errors import OptionError

# Large enough that f learns from the first step, small enough for the steepest f (a warp of maps).
ALPHA = 0.01


def residual_alpha(attention: nn.Module) -> float:
    """alpha of x + alpha (f(x) - x) at the start: 0, or 0.01 where f(x) is x to begin with.

    With f(x) = x and alpha = 0, neither would ever have a gradient. Any alpha is exact then.
    """
    return ALPHA if _is_identity(attention) else 0.0


def start_branch(attention: nn.Module) -> float:
    """Start what becomes a branch alpha f(x), and give its alpha: 0, or 0.01 where f(x) is 0.

    The gradient of alpha grows with f(x). A module whose outputs are much larger than its inputs
    makes them smaller in a method `init_branch()`. One that gives 0 to begin with says so by the
    attribute `starts_at_zero`: any alpha is exact then, and with alpha = 0 too, neither would ever
    have a gradient.
    """
    if hasattr(attention, "init_branch"):
        attention.init_branch()  # pyright: ignore[reportCallIssue]
    return ALPHA if getattr(attention, "starts_at_zero", False) else 0.0


def _is_identity(attention: Any) -> bool:
    """Whether f is built as the identity: `init_identity()` finds nothing to change, and c is 1."""
    if not hasattr(attention, "init_identity"):
        return False
    twin = deepcopy(attention)
    try:
        constant = twin.init_identity()
    except OptionError:  # with these options it cannot start so
        return False
    pairs = zip(attention.state_dict().values(), twin.state_dict().values(), strict=True)
    return constant == 1 and all(a.is_meta or torch.equal(a, b) for a, b in pairs)
