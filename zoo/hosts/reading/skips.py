"""A skip connection: where a host takes an earlier map up again, once a later one is known.

The gate of a U-Net's skip needs a signal that is computed after the map it gates. So the map is
gated where the host takes it up again: in the input of the first module that is called with it, or
with a concatenation that it is part of, after the signal is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from zoo.hosts.reading import outputs
from zoo.hosts.reading.outputs import Way
from zoo.hosts.reading.survey import Example
from zoo.insertion.probe import fake_copy


class Skip(NamedTuple):
    """The module at `path` is called with the map: as its argument `argument` (a position or a
    keyword), of which it is the channels from `first` up to `end`.
    """

    path: str
    argument: int | str
    first: int
    end: int


class _Watch(TorchDispatchMode):
    """What became of one tensor since the signal was there."""

    def __init__(self, x: str, x_way: Way, gate: str) -> None:
        super().__init__()
        self.x, self.x_way, self.gate = x, x_way, gate
        self.map: Tensor | None = None
        self.ready = False
        self.parts: list[tuple[Tensor, int]] = []  # tensors that hold the map, and from where
        self.found: Skip | None = None

    def __torch_dispatch__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if (
            self.ready
            and func is torch.ops.aten.cat.default
            and _dimension(args, kwargs) in (1, -3)
        ):
            first = 0
            for part in args[0]:
                if part is self.map:
                    self.parts.append((result, first))
                first += part.shape[1]
        return result

    def before(self, path: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        """A module is about to be called."""
        if not self.ready or self.found is not None or self.map is None:
            return
        known = [(self.map, 0), *self.parts]
        for argument, value in (*enumerate(args), *keywords.items()):
            for tensor, first in known:
                if value is tensor:
                    self.found = Skip(path, argument, first, first + self.map.shape[1])
                    return

    def after(self, path: str, output: Any) -> None:
        """A module has been called."""
        if path == self.x:
            self.map = outputs.take(output, self.x_way)
        if path == self.gate and self.map is not None:
            self.ready = True


def find_skip(model: nn.Module, example: Example, x: str, x_way: Way, gate: str) -> Skip | None:
    """Where the map that the module at `x` gives is taken up after the one at `gate` was called.

    Everything runs on fake tensors; a host that ends early is looked at as far as it ran. None: the
    map is not taken up again, or only in a changed form.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    twin, watch = fake_copy(model, mode), _Watch(x, x_way, gate)
    for path, module in twin.named_modules():
        module.register_forward_pre_hook(
            lambda _m, args, kw, path=path: watch.before(path, args, kw), with_kwargs=True
        )
        module.register_forward_hook(lambda _m, _a, output, path=path: watch.after(path, output))
    with mode, watch, torch.no_grad():
        args, keywords = tree_map_only(
            Tensor, mode.from_tensor, (example.args, dict(example.keywords))
        )
        try:
            twin(*args, **keywords)
        except Exception:  # the host may be anyone's; what ran before is known
            pass
    return watch.found


def _dimension(args: Any, keywords: Mapping[str, Any] | None) -> int:
    return args[1] if len(args) > 1 else (keywords or {}).get("dim", 0)
