"""The multiplication of a map by one gate for each channel, or for each position."""

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
from zoo.sdk.fused.switch import in_use


def gate_channels(x: Tensor, gate: Tensor) -> Tensor:
    """x * gate, for x (B, C, H, W) and gate (B, C, 1, 1)."""
    if in_use(x):
        return _by_rows(x, gate.expand(x.shape[0], x.shape[1], 1, 1), True)
    return x * gate


def gate_positions(x: Tensor, gate: Tensor) -> Tensor:
    """x * gate, for x (B, C, H, W) and gate (B, 1, H, W)."""
    if in_use(x):
        return _by_rows(x, gate.expand(x.shape[0], 1, x.shape[2], x.shape[3]), False)
    return x * gate


@torch.jit.unused
def _by_rows(x: Tensor, gate: Tensor, by_channel: bool) -> Tensor:
    return RowGate.apply(x, gate, by_channel)


class RowGate(Function):
    """y = x g; dx = dy g and dg = sum dy x, both in one pass over the map."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor, by_channel: bool) -> Tensor:
        y = torch.empty_like(x, dtype=torch.result_type(x, gate))
        rows, flat = rows_of(x, by_channel), gate.contiguous()
        out = rows_of(y, by_channel).strides
        launch_rows("gate", x, rows, x, *rows.strides, flat, y, *out)
        ctx.save_for_backward(x, flat)
        ctx.by_channel = by_channel
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, gate = ctx.saved_tensors
        dy, dx, dgate = in_order(grads[0]), torch.empty_like(x), torch.empty_like(gate)
        rows, of_dy, of_dx = (rows_of(each, ctx.by_channel) for each in (x, dy, dx))
        launch_rows(
            "gate_backward", x, rows,
            dy, *of_dy.strides, x, *rows.strides, gate, dx, *of_dx.strides, dgate,
        )  # fmt: skip
        return dx, dgate, None
