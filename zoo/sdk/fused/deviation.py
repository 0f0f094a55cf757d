"""A gate of how far each position is from the mean of its channel."""

# Annotations are real here, since TorchScript reads those of what it leaves out.
# How once_differentiable types a `backward` is not how Function does.
# pyright: reportIncompatibleMethodOverride=false

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from zoo.sdk.fused.launch import launch_rows
from zoo.sdk.fused.layout import in_order, rows_of


@torch.jit.unused
def deviation_gate(x: Tensor, e_lambda: float) -> Tensor:
    """(B, C, H, W) -> the same shape, by a kernel; the caller has asked `in_use`.

    d = (x - mean_hw(x))^2,  v = sum_hw(d) / max(HW - 1, 1)
    y = x * sigmoid(d / (4 (v + e_lambda)) + 1/2)
    """
    return Deviation.apply(x, e_lambda)


class Deviation(Function):
    """The gate, computed from the mean and the variance of each channel, which are kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, e_lambda: float) -> Tensor:
        y, rows = torch.empty_like(x), rows_of(x, True)
        center, slope = x.new_empty(2, rows.batch, rows.rows, dtype=torch.float32).unbind()
        others = max(rows.length - 1, 1)
        launch_rows(
            "deviation", x, rows,
            x, *rows.strides, y, *rows_of(y, True).strides, center, slope, e_lambda, others,
        )  # fmt: skip
        ctx.save_for_backward(x, center, slope)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, center, slope = ctx.saved_tensors
        dy, dx = in_order(grads[0]), torch.empty_like(x)
        rows, of_dy, of_dx = (rows_of(each, True) for each in (x, dy, dx))
        others = max(rows.length - 1, 1)
        launch_rows(
            "deviation_backward", x, rows,
            dy, *of_dy.strides, x, *rows.strides, dx, *of_dx.strides, center, slope, others,
        )  # fmt: skip
        return dx, None
