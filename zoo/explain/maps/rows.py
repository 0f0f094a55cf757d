"""Where the softmax attentions of a model look: the rows of their matrices, over the image.

A matrix A (heads, N, N) says how much each of N positions takes of each other; a row sums to 1.
What is shown of it is the row of the class token, or the mean of all rows, by head and averaged.
Attention rollout (Abnar and Zuidema, ACL 2020, arXiv 2005.00928, section 3) follows the matrices
of all L layers down to the image:

    R = prod_l (A_l + I) / 2,  A_l averaged over its heads

The matrices are caught as the softmax is computed, so it does not matter whose attention it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from zoo.hosts.reading.outputs import find

_SOFTMAX = ("_softmax.default", "_safe_softmax.default")
LARGEST = 2**26  # numbers in a matrix (heads, N, N) that is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """What is kept of an attention: the first row, the mean of all, by head, and all of it.

    Attributes:
        first, mean: (heads, N).
        whole: (N, N), averaged over the heads.
    """

    first: Tensor
    mean: Tensor
    whole: Tensor


@dataclass
class Caught:
    """The matrices of a pass by the path of their module, and modules that had others.

    Attributes:
        matrices: of square attentions over all positions of the image.
        windows: paths of attentions within windows, whose rows are of no whole image.
        others: whether there was attention of another kind too: not square, or over a map.
    """

    matrices: dict[str, Matrix] = field(default_factory=dict[str, Matrix])
    windows: list[str] = field(default_factory=list[str])
    others: bool = False


@contextmanager
def caught(model: nn.Module) -> Iterator[Caught]:
    """While the model runs, its softmax attentions are looked at.

    They are computed step by step meanwhile, not by the fused kernels, which do not show them.
    """
    found, running, hooks = Caught(), list[_Running](), list[Any]()
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        for path, module in model.named_modules():
            hooks.extend(_follow(path, module, running))
        torch.backends.mha.set_fastpath_enabled(False)
        with sdpa_kernel([SDPBackend.MATH]), _Softmax(found, running):
            yield found
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for hook in hooks:
            hook.remove()


class _Running(NamedTuple):
    """A module that runs, and the shape of the first map or tokens that it was given."""

    path: str
    module: nn.Module
    shape: tuple[int, ...]


def _follow(path: str, module: nn.Module, running: list[_Running]) -> list[Any]:
    def before(_module: nn.Module, args: Any, keywords: Any) -> None:
        given = find((args, keywords))
        running.append(_Running(path, module, given.shape if given is not None else ()))

    def after(*_: Any) -> None:
        running.pop()

    return [
        module.register_forward_pre_hook(before, with_kwargs=True),
        module.register_forward_hook(after),
    ]


class _Softmax(TorchDispatchMode):
    """Notes each softmax over as many positions as the module that runs was given."""

    def __init__(self, found: Caught, running: list[_Running]) -> None:
        super().__init__()
        self.found, self.running = found, running

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func.__name__ in _SOFTMAX and isinstance(output, Tensor):
            self._note(output)
        return output

    def _note(self, matrix: Tensor) -> None:
        place = self._place()
        if place is None or matrix.ndim < 3 or matrix.shape[-1] != matrix.shape[-2]:
            self.found.others |= matrix.ndim >= 3
            return
        positions = _positions(place.shape)
        if not positions:
            if place.path not in self.found.windows:
                self.found.windows.append(place.path)
        elif matrix.shape[-1] == positions and matrix.numel() <= LARGEST:
            self.found.others |= len(place.shape) == 4
            heads = matrix.detach().reshape(-1, positions, positions).float()
            self.found.matrices[place.path] = Matrix(
                first=heads[:, 0].clone().cpu(), mean=heads.mean(1).cpu(), whole=heads.mean(0).cpu()
            )

    def _place(self) -> _Running | None:
        """The innermost running module that was given a map or tokens, but for a mere softmax."""
        return next(
            (each for each in reversed(self.running)
             if len(each.shape) in (3, 4) and not isinstance(each.module, nn.Softmax | nn.Dropout)),
            None,
        )  # fmt: skip


def _positions(shape: tuple[int, ...]) -> int:
    """Of one image, in tokens (1, N, C) or (N, 1, C), or a map; 0 for windows of one."""
    if len(shape) == 4:
        return shape[2] * shape[3] if shape[0] == 1 else 0
    return shape[1] if shape[0] == 1 else shape[0] if shape[1] == 1 else 0


def rollout(caught: Caught) -> Tensor | None:
    """(N, N) through all layers, in order; None if attention is not all that mixes positions in
    some of them, or they are not of one size.
    """
    matrices = list(caught.matrices.values())
    sizes = {len(m.whole) for m in matrices}
    if len(matrices) < 2 or len(sizes) > 1 or caught.windows or caught.others:
        return None
    unit = torch.eye(len(matrices[0].whole))
    found = unit
    for matrix in matrices:
        found = (matrix.whole + unit) / 2 @ found
    return found
