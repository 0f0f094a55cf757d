"""Inputs are checked at the call: one `UsageError` instead of a failure deep inside the mechanism.

`create_attention` guards what it builds. The class of the module becomes a subclass of the same
name, whose call looks at the rank and the channels of the first input. A forward hook could do the
same, but TorchScript refuses modules that have one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from zoo.errors import UsageError
from zoo.registry.specs import CONTRACTS, AttentionSpec
from zoo.runtime.swapping import restore, swap

RANKS = {"map": 4, "map_channels": 4, "regulariser": 4, "tokens": 3}
MAP = "(B, C, H, W)"


@dataclass(frozen=True, slots=True)
class Expected:
    """What the first input of a mechanism must be."""

    mechanism: str
    contract: str
    rank: int
    channels: int | None

    def check(self, x: object) -> None:
        """Raise a `UsageError` that says what was given and what is expected."""
        if isinstance(x, fx.Proxy) or torch.jit.is_tracing():
            return
        if not isinstance(x, Tensor):
            raise self._error(f"a {type(x).__name__}")
        shape, axis = x.shape, 2 if self.contract == "tokens" else 1
        if x.ndim != self.rank:
            raise self._error(f"an input of {x.ndim} dimensions, {tuple(shape)}")
        if self.channels is not None and shape[axis] != self.channels:
            raise self._error(f"{shape[axis]} channels, in an input {tuple(shape)}")
        if any(size == 0 for size in shape[1:]):
            raise self._error(f"an empty input, {tuple(shape)}")
        if not x.is_floating_point():
            raise self._error(f"an input of {x.dtype}")

    def _error(self, given: str) -> UsageError:
        return UsageError(
            f"{self.mechanism} was given {given}",
            where=f"attention {self.mechanism!r}, contract {self.contract!r}",
            remedy=f"a floating-point tensor {self._shape()}",
        )

    def _shape(self) -> str:
        known = f", C = {self.channels}" if self.channels is not None else ""
        if self.rank == RANKS[self.contract]:
            shape = CONTRACTS[self.contract].split(" -> ")[0]
            return (shape if shape.startswith("(") else MAP) + known
        return f"of {self.rank} dimensions, (B, C, ...){known}"


def guard(
    module: nn.Module, spec: AttentionSpec, channels: int | None, options: Mapping[str, Any]
) -> nn.Module:
    """Let the module check what it is called with, where its contract says what that is.

    A module that takes another rank than its contract says states it as `input_rank`.
    """
    if spec.contract in RANKS:
        names = ("in_channels", *spec.options.channels)
        width = next((options[n] for n in names if options.get(n) is not None), channels)
        rank = getattr(module, "input_rank", RANKS[spec.contract])
        expected = Expected(spec.name, spec.contract, rank, width)
        vars(module)["zoo_expects"] = expected
        swap(module, Guarded)
    return module


class Guarded:
    """Mixed into a mechanism: it checks its first input against `zoo_expects`."""

    def __call__(self: Any, *inputs: Any, **options: Any) -> Any:
        if inputs:
            self.zoo_expects.check(inputs[0])
        return super().__call__(*inputs, **options)  # pyright: ignore[reportAttributeAccessIssue]


def _restore(base: type[nn.Module]) -> nn.Module:
    """What pickles of version 0.1 call."""
    return restore(base, Guarded)
