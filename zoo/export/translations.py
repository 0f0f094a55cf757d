"""Operators of PyTorch that its ONNX exporter does not know, as operators of ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """For `torch.onnx.export(custom_translation_table=...)`, which wants it mutable."""
    import onnxscript

    op: Any = onnxscript.opset18  # the operators that the exporter's own functions use

    def stable_sort(
        self: Any, stable: bool | None = None, dim: int = -1, descending: bool = False
    ) -> Any:
        """TopK of all: of equal values it gives the one with the lower index first."""
        count = op.Gather(op.Shape(self), op.Constant(value_ints=[dim]), axis=0)
        return op.TopK(self, count, axis=dim, largest=descending, sorted=True)

    return {torch.ops.aten.sort.stable: stable_sort}
