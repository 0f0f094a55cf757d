"""How a tensor holds a map: (B, C, H, W), (B, H, W, C), or tokens (B, N, C) of a grid.

Tokens are `prefix` tokens that belong to no place (class, registers), then H * W patches row by
row. A mechanism that takes maps sees the patches as a map and leaves the prefix as it is; one that
takes tokens sees all tokens, and the positions of a map as tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from zoo.errors import UsageError

Kind: TypeAlias = Literal["nchw", "nhwc", "tokens"]
KINDS = get_args(Kind)
Attend: TypeAlias = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Of one tensor.

    Attributes:
        kind: `nchw`, `nhwc` or `tokens`.
        prefix: number of tokens before the patches.
        grid: (H, W) of the patches in the example; another number of patches is taken for a grid
            of the same proportions. None where no grid is known.
    """

    kind: Kind
    prefix: int = 0
    grid: tuple[int, int] | None = None

    def channels(self, shape: tuple[int, ...]) -> int:
        """C of a tensor of that shape."""
        return shape[1] if self.kind == "nchw" else shape[-1]

    def size(self, shape: tuple[int, ...]) -> tuple[int, int] | None:
        """(H, W) of a tensor of that shape; None for tokens without a grid."""
        if self.kind == "tokens":
            return self.grid
        return (shape[2], shape[3]) if self.kind == "nchw" else (shape[1], shape[2])

    def on_map(self, attend: Attend, x: Tensor) -> Tensor:
        """Apply what takes a map (B, C, H, W)."""
        if self.kind == "nchw":
            return attend(x)
        if self.kind == "nhwc":
            return attend(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).contiguous()
        patches = x[:, self.prefix :] if self.prefix else x
        y = attend(patches.transpose(1, 2).unflatten(2, self._grid_of(patches.shape[1])))
        y = y.flatten(2).transpose(1, 2)
        return torch.cat((x[:, : self.prefix], y), 1) if self.prefix else y.contiguous()

    def on_tokens(self, attend: Attend, x: Tensor) -> Tensor:
        """Apply what takes tokens (B, N, C)."""
        if self.kind == "tokens":
            return attend(x)
        if self.kind == "nhwc":
            return attend(x.flatten(1, 2)).unflatten(1, x.shape[1:3])
        y = attend(x.flatten(2).transpose(1, 2))
        return y.transpose(1, 2).unflatten(2, x.shape[2:]).contiguous()

    def _grid_of(self, patches: int) -> tuple[int, int]:
        rows, columns = self.grid or (1, 1)
        height = isqrt(patches * rows // columns)
        width = height * columns // rows
        if height * width != patches or height * columns != width * rows:
            raise UsageError(
                f"{patches} tokens are no grid of the proportions of {self.grid}",
                remedy="images of the proportions of the example, or another grid=",
            )
        return height, width
