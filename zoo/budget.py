"""A bound on what a constructor may make, where its options come from a file or a repository."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from zoo.errors import WeightsMismatchError

_FACTORIES = frozenset({
    torch.empty, torch.empty_strided, torch.zeros, torch.ones, torch.full, torch.eye, torch.arange,
    torch.linspace, torch.rand, torch.randn, torch.randint, torch.randperm, torch.tril_indices,
})  # fmt: skip
_NOT_ON_META = frozenset({"generator", "out", "pin_memory"})
MOST_TENSORS, MOST_ELEMENTS = 2**14, 2**33  # the largest of timm has 6.7e9 elements


class Budget(TorchFunctionMode):
    """Within it, no more tensors and elements are made than allowed; counted before allocation.

    Options from a stranger's config can ask for any depth and width. What the number of a model's
    tensors may be, its weights say: a model that they cannot nearly fill is not theirs.

    Args:
        where: the weights or the repository that the options are of, for the message.
    """

    def __init__(
        self, where: str, tensors: int = MOST_TENSORS, elements: int = MOST_ELEMENTS
    ) -> None:
        super().__init__()
        self.where, self.tensors, self.elements = where, tensors, elements

    @classmethod
    def of(cls, where: str, tensors: int, elements: int) -> Budget:
        """What weights allow: another head, more input channels or larger images, some buffers,
        up to 512 MiB more; not a model of another order."""
        return cls(where, 4 * tensors + 2**11, 4 * elements + 2**27)

    @classmethod
    def of_shapes(cls, where: str, shapes: Mapping[str, tuple[int, ...]]) -> Budget:
        """What a file of such tensors allows."""
        return cls.of(where, len(shapes), sum(torch.Size(s).numel() for s in shapes.values()))

    @classmethod
    def of_size(cls, where: str, size: int) -> Budget:
        """What a file of `size` bytes allows; 0 where it is not known."""
        return cls.of(where, 2**11, size) if size else cls(where)

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _FACTORIES:
            self._charge(func, args, kwargs)
        return func(*args, **kwargs)

    def _charge(self, func: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> None:
        plain = {key: value for key, value in kwargs.items() if key not in _NOT_ON_META}
        self.tensors -= 1
        self.elements -= func(*args, **{**plain, "device": "meta"}).numel()
        if self.tensors < 0 or self.elements < 0:
            raise WeightsMismatchError(
                "a model of these options is far larger than its weights",
                where=self.where,
                remedy="the options that the weights were made with",
            )
