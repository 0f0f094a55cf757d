"""A bound on what a constructor may allocate, if its options come from a file or a repository.

The options of a stranger's config can ask for any depth and width. The weights tell how large the
model may be: a model that they cannot nearly fill is not theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from zoo.errors import WeightsMismatchError
from zoo.weights.verified_file import VerifiedFile

_OF_A_SIZE = frozenset({torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn})
FACTORIES = _OF_A_SIZE | {
    torch.full, torch.eye, torch.arange, torch.linspace, torch.randint, torch.randperm,
    torch.empty_strided, torch.tril_indices,
}  # fmt: skip
_NOT_ON_META = frozenset({"generator", "out", "pin_memory"})
MOST_TENSORS, MOST_ELEMENTS = 2**14, 2**33  # the largest of timm has 6.7e9 elements
MORE_TENSORS, MORE_ELEMENTS = 2**11, 2**27  # buffers, another head, larger images
LEAST_ENTRY = 16  # bytes of a header for one tensor; 52 at least, and four times as many may be


class Budget:
    """How many tensors and elements may still be made. They are counted before they are allocated.

    Args:
        where: the weights or the repository that the options are from, for the message.
    """

    def __init__(
        self, where: str, tensors: int = MOST_TENSORS, elements: int = MOST_ELEMENTS
    ) -> None:
        self.where, self.tensors, self.elements = where, tensors, elements

    @classmethod
    def of_size(cls, where: str, size: int) -> Budget:
        """The budget that a file of `size` bytes allows. A size of 0 is not known."""
        if not size:
            return cls(where)
        return cls(where, MOST_TENSORS + MORE_TENSORS, size + MORE_ELEMENTS)

    @classmethod
    def of_file(cls, file: VerifiedFile) -> Budget:
        """The budget that a safetensors file allows, by its size and that of its header."""
        file.handle.seek(0)
        header = min(int.from_bytes(file.handle.read(8), "little"), file.size)
        where, elements = str(file.path), file.size + MORE_ELEMENTS
        return cls(where, header // LEAST_ENTRY + MORE_TENSORS, elements)

    def charge(self, factory: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> None:
        """Count what a factory of `FACTORIES` is about to make.

        Raises:
            WeightsMismatchError: it would be too much.
        """
        self.tensors -= 1
        self.elements -= _elements(factory, args, kwargs)
        if self.tensors < 0 or self.elements < 0:
            raise WeightsMismatchError(
                "a model of these options is far larger than its weights",
                where=self.where,
                remedy="the options that the weights were made with",
            )


def _elements(factory: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> int:
    if factory in _OF_A_SIZE and args:
        return prod(args if isinstance(args[0], int) else args[0])
    plain = {key: value for key, value in kwargs.items() if key not in _NOT_ON_META}
    return factory(*args, **{**plain, "device": "meta"}).numel()


class Bounded(TorchFunctionMode):
    """A context in which a budget is held."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self.budget = budget

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        if func in FACTORIES:
            self.budget.charge(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))
