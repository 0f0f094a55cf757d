"""What ours are compared with: the authors' formulas, and timm's layers.

A formula is a function (module, x) -> y: the published equations (of the authors' code, where that
is what ours follows), transcribed step by step and run with the parameters of our module, so that
both compute the same. It is None where ours is timm's layer and nothing else was published.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from torch import Tensor, nn

from formulas import channel, mixed, newer, self_attention, spatial, tokens, windows

Formula = Callable[[nn.Module, Tensor], Tensor]


def _functions(module: ModuleType) -> dict[str, Formula]:
    own = {n: f for n, f in vars(module).items() if callable(f) and not n.startswith("_")}
    return {n: f for n, f in own.items() if getattr(f, "__module__", "") == module.__name__}


FORMULAS: dict[str, Formula] = {
    name: function
    for module in (channel, spatial, mixed, self_attention, newer, tokens, windows)
    for name, function in _functions(module).items()
}
