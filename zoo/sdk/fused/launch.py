"""Starting a kernel on the device of its tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.sdk.fused.layout import Rows


def launch(name: str, programs: int, on: Tensor, *arguments: Any) -> None:
    """Run `programs` programs of the kernel of that name in `zoo.sdk.fused.kernels`."""
    from zoo.sdk.fused import kernels

    with torch.cuda.device_of(on):
        getattr(kernels, name)[(programs,)](*arguments)


def launch_rows(name: str, on: Tensor, rows: Rows, *arguments: Any) -> None:
    """Run a kernel on a map seen as rows: its arguments, then R and L, then those of the tile."""
    launch(name, rows.programs, on, *arguments, rows.rows, rows.length, *rows.tile)
