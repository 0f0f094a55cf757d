"""A convolution with its activation as one call of oneDNN, its weight laid out once.

    y = act(w * x + b)

PyTorch lays the weight of a convolution out anew at each call, and an activation reads and writes
its output once more. oneDNN does both with the convolution. The result differs from that of
PyTorch's two calls by rounding only.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

# What oneDNN calls the activations. Exact types, since a subclass may compute something else.
ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu", nn.Hardswish: "hardswish", nn.SiLU: "swish", nn.Identity: "none",
}  # fmt: skip


def available(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether this PyTorch has these calls for float32 on this CPU."""
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    there = x86 and device.type == "cpu" and dtype == torch.float32
    return there and torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, "_convolution_pointwise"
    )  # fmt: skip


def can_fuse(conv: nn.Module, act: nn.Module) -> bool:
    """Whether a convolution and the activation after it can be one call."""
    plain = type(conv) is nn.Conv2d and conv.padding_mode == "zeros"
    return plain and not isinstance(conv.padding, str) and type(act) in ACTIVATIONS


class FusedConv(nn.Module):
    """`conv`, then `act`: (B, C, H, W) to (B, K, H', W'), both channels-last in memory.

    Args:
        conv: float32, in eval mode; see `can_fuse`. It is not changed.
        act: ReLU, Hardswish, SiLU, or Identity for none.
        shape: of an input, for which the weight is laid out. Inputs of other shapes do, too.
    """

    def __init__(self, conv: nn.Conv2d, act: nn.Module, shape: Sequence[int]) -> None:
        super().__init__()
        self.act = ACTIVATIONS[type(act)]
        self.where = [list(map(int, n)) for n in (conv.padding, conv.stride, conv.dilation)]  # type: ignore[arg-type]
        self.groups = conv.groups
        self.bias = None if conv.bias is None else conv.bias.detach()
        weight = conv.weight.detach().contiguous()
        operations: Any = torch.ops.mkldnn
        self.packed = operations._reorder_convolution_weight(
            weight, *self.where, self.groups, list(shape)
        )
        self.run = operations._convolution_pointwise

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        return self.run(x, self.packed, self.bias, *self.where, self.groups, self.act, [], "")
