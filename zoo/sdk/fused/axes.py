"""The multiplication of a map by one gate for each line and one for each column of a channel."""

# Annotations are real here, since TorchScript reads those of what it leaves out.
# How once_differentiable types a `backward` is not how Function does.
# pyright: reportIncompatibleMethodOverride=false

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from zoo.sdk.fused.launch import launch
from zoo.sdk.fused.layout import in_order, power, rows_of
from zoo.sdk.fused.switch import in_use

MOST_COLUMNS, MOST_ELEMENTS = 128, 2048  # of a tile


def gate_axes(x: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """x * by_column * by_row, for x (B, C, H, W), by_row (B, C, H, 1), by_column (B, C, 1, W)."""
    if in_use(x):
        return _by_axes(x, by_row, by_column)
    return x * by_column * by_row


@torch.jit.unused
def _by_axes(x: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    return AxisGates.apply(x, by_row, by_column)


class AxisGates(Function):
    """y = x c r; dx, dr and dc in one pass over the map."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
        by_row, by_column = by_row.contiguous(), by_column.contiguous()
        kind = torch.promote_types(torch.result_type(x, by_column), by_row.dtype)
        y = torch.empty_like(x, dtype=kind)
        strides, out, tile = (*_strides(x, y), _tile(x))
        launch(
            "axes", _programs(x, tile), x,
            x, *strides, by_row, by_column, y, *out, *x.shape[1:], *tile,
        )  # fmt: skip
        ctx.save_for_backward(x, by_row, by_column)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        x, by_row, by_column = ctx.saved_tensors
        dy, dx, dcolumn = in_order(grads[0]), torch.empty_like(x), torch.empty_like(by_column)
        tile = _tile(x)
        across = -(-x.shape[3] // tile[1])
        drow = by_row.new_empty(across, *by_row.shape, dtype=torch.float32)
        of_dy, of_x, of_dx = _strides(dy, x, dx)
        launch(
            "axes_backward", _programs(x, tile), x,
            dy, *of_dy, x, *of_x, by_row, by_column, dx, *of_dx, drow, dcolumn, *x.shape, *tile,
        )  # fmt: skip
        return dx, drow.sum(0).to(by_row.dtype), dcolumn


def _strides(*maps: Tensor) -> tuple[tuple[int, int, int], ...]:
    return tuple(rows_of(each, True).strides for each in maps)


def _tile(x: Tensor) -> tuple[int, int]:
    """Channels and columns of a program."""
    columns = min(power(x.shape[3]), MOST_COLUMNS)
    return min(power(x.shape[1]), MOST_ELEMENTS // columns, 32), columns


def _programs(x: Tensor, tile: tuple[int, int]) -> int:
    return x.shape[0] * -(-x.shape[1] // tile[0]) * -(-x.shape[3] // tile[1])
