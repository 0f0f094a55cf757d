"""Building a model without filling parameters that a file is about to replace."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

from zoo.build.budget import FACTORIES, Budget

_FILLS = frozenset(
    ["normal_", "uniform_", "zero_", "fill_", "mul_", "add_", "clamp_", "erfinv_", "bernoulli_",
     "exponential_", "div_", "sub_", "copy_"]
)  # fmt: skip


class SkipInit(TorchFunctionMode):
    """A context in which filling an `nn.Parameter` in place is skipped, and its memory stays
    untouched.

    It holds for the current thread alone, and draws no random numbers. Buffers are computed as
    usual, so that those outside the state dict are right; building on the meta device would lose
    them. Every parameter must then be loaded or reset, see `zoo.weights.load`.

    Args:
        budget: how much may be made within it.
    """

    def __init__(self, budget: Budget | None = None) -> None:
        super().__init__()
        self.budget = budget

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        if func in FACTORIES:
            if self.budget is not None:
                self.budget.charge(func, args, kwargs or {})
            return func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name in _FILLS or getattr(func, "__module__", "") == "torch.nn.init":
            filled = args[0] if args else (kwargs or {}).get("tensor")
            if isinstance(filled, nn.Parameter):
                return filled
        return func(*args, **(kwargs or {}))
