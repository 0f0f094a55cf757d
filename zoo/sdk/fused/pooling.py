"""What gates are made of: means, maxima and weighted sums of a map, each in one pass over it."""

# Annotations are real here, since TorchScript reads those of what it leaves out.
# How once_differentiable types a `backward` is not how Function does.
# pyright: reportIncompatibleMethodOverride=false

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from zoo.sdk.fused.launch import launch_rows
from zoo.sdk.fused.layout import rows_of
from zoo.sdk.fused.switch import in_use


def position_mean(x: Tensor) -> Tensor:
    """The mean over positions: (B, C, H, W) -> (B, C, 1, 1)."""
    if in_use(x):
        return _mean(x)
    return x.mean((2, 3), keepdim=True)


def position_mean_max(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and maximum over positions: (B, C, H, W) -> two of (B, C).

    The gradient of a maximum goes to the first position that has it.
    """
    if in_use(x):
        return _mean_max(x, True)
    return x.mean((2, 3)), torch.max(torch.flatten(x, 2), 2).values


def channel_max_mean(x: Tensor) -> Tensor:
    """Maximum and mean over channels: (B, C, H, W) -> (B, 2, H, W).

    The gradient of a maximum goes to the first channel that has it.
    """
    if in_use(x):
        mean, most = _mean_max(x, False)
        return torch.stack([most, mean], 1).view(x.shape[0], 2, x.shape[2], x.shape[3])
    return torch.cat([torch.max(x, 1, keepdim=True).values, x.mean(1, keepdim=True)], 1)


def weighted_sum(x: Tensor, weights: Tensor) -> Tensor:
    """sum_p w_p x_p over positions, for x (B, C, H, W) and weights (B, 1, H W): (B, C, 1, 1)."""
    if in_use(x):
        return _weighted_sum(x, weights)
    b, c, h, w = x.shape
    context = x.reshape(b, c, h * w).unsqueeze(1) @ weights.unsqueeze(3)
    return context.view(b, c, 1, 1)


# What TorchScript leaves out of a program.


@torch.jit.unused
def _mean(x: Tensor) -> Tensor:
    return Mean.apply(x)


@torch.jit.unused
def _mean_max(x: Tensor, by_channel: bool) -> tuple[Tensor, Tensor]:
    return MeanMax.apply(x, by_channel)


@torch.jit.unused
def _weighted_sum(x: Tensor, weights: Tensor) -> Tensor:
    return WeightedSum.apply(x, weights)


class Mean(Function):
    """m = sum_p x / P; dx = dm / P, which is not written out."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        rows = rows_of(x, True)
        mean = x.new_empty(rows.batch, rows.rows, 1, 1)
        launch_rows("mean", x, rows, x, *rows.strides, mean)
        ctx.shape = x.shape
        return mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return (grads[0] / (ctx.shape[2] * ctx.shape[3])).expand(ctx.shape)


class MeanMax(Function):
    """Mean and maximum along each row; the gradients of both, written in one pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, by_channel: bool) -> tuple[Tensor, Tensor]:
        rows = rows_of(x, by_channel)
        mean, most = (x.new_empty(rows.batch, rows.rows) for _ in range(2))
        index = torch.empty_like(mean, dtype=torch.int32)
        launch_rows("mean_max", x, rows, x, *rows.strides, mean, most, index)
        ctx.save_for_backward(index)
        ctx.like = torch.empty_like(x, device="meta")
        ctx.by_channel = by_channel
        return mean, most

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (index,) = ctx.saved_tensors
        dx = torch.empty_like(ctx.like, device=index.device)
        rows = rows_of(dx, ctx.by_channel)
        dmean, dmost = (grad.contiguous() for grad in grads)
        launch_rows("mean_max_backward", dx, rows, dmean, dmost, index, dx, *rows.strides)
        return dx, None


class WeightedSum(Function):
    """s = sum_p w_p x_p; dx = w ds and dw = sum_c x ds, both in one pass over the map."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor) -> Tensor:
        rows, weights = rows_of(x, True), weights.contiguous()
        dtype = torch.result_type(x, weights)
        out = x.new_empty(rows.batch, rows.rows, 1, 1, dtype=dtype)
        launch_rows("weighted", x, rows, x, *rows.strides, weights, out)
        ctx.save_for_backward(x, weights)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weights = ctx.saved_tensors
        dx, dweights = torch.empty_like(x), torch.empty_like(weights)
        rows, of_dx = rows_of(x, False), rows_of(dx, False)
        launch_rows(
            "weighted_backward", x, rows,
            x, *rows.strides, weights, grads[0].contiguous(), dx, *of_dx.strides, dweights,
        )  # fmt: skip
        return dx, dweights
