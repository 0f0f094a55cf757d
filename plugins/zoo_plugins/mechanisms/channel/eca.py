"""Efficient channel attention (Wang et al., CVPR 2020, arXiv 1910.03151, section 3).

    y = x * sigmoid(conv1d_k(mean_hw(x)))

x, y: (B, C, H, W); a convolution over the ordered channels, zero-padded, one kernel of k weights,
no bias. k follows C (eq. 12): |log2(C) / gamma + b / gamma|, to the next odd number, gamma = 2,
b = 1. The authors' ResNets set k by hand for each stage (3, 5, 5, 7 in the released ResNet-50; the
formula gives 5, 5, 5, 7). The layer and its parameter names are timm's.

With `use_mlp=True`, an experiment of timm (`ecam`) that the paper does not have,

    y = x * sigmoid(conv1d_k(relu(w mean_hw(x) + u)))

where w and u are of a convolution of kernel 1 from one plane to R planes over the channels, and the
second one leads back to one; both have biases. k is at least 3 then, as in timm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from timm.layers import EcaModule
from timm.layers.create_act import create_act_layer
from timm.layers.helpers import make_divisible
from torch import Tensor, nn

from zoo.sdk import (
    OddInt,
    PositiveFloat,
    PositiveInt,
    bottleneck_width,
    pair_hidden_units_,
    refuse,
    zero_,
)
from zoo.sdk.fused import gate_channels, position_mean


class EfficientChannelAttention(EcaModule):
    """(B, C, H, W) -> the same shape, each channel scaled by a gate in (0, 1).

    Args:
        channels: C.
        kernel_size: k, odd; by default from C, with gamma and beta (eq. 12). A mapping from C to k
            serves a whole network.
        gamma, beta: gamma and b of the formula, 2 and 1.
        use_mlp: two convolutions, as above; False.
        reduction: with `use_mlp`, R = C / reduction; by default R is C / 8 to a multiple of 8, as
            in timm.
        reduced_channels: R itself.
        act_layer: between the two convolutions, ReLU; nothing without `use_mlp`, as in timm.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: OddInt | Mapping[int | str, OddInt] | None = None,
        gamma: PositiveFloat = 2,
        beta: float = 1,
        use_mlp: bool = False,
        reduction: PositiveFloat | None = None,
        reduced_channels: PositiveInt | None = None,
        act_layer: Any = "relu",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if isinstance(kernel_size, Mapping):
            kernel_size = _of_channels(kernel_size, channels)
        if kernel_size is None:
            kernel_size = max(adaptive_kernel(channels, gamma, beta), 3 if use_mlp else 1)
        dd: Any = {"device": device, "dtype": dtype}
        super().__init__(kernel_size=kernel_size, **dd)
        if use_mlp:
            width = _width(channels, reduction, reduced_channels)
            self.conv = nn.Conv1d(1, width, 1, **dd)
            self.act = create_act_layer(act_layer or "relu")
            self.conv2 = nn.Conv1d(width, 1, kernel_size, padding=kernel_size // 2, **dd)
        elif reduction is not None or reduced_channels is not None:
            refuse("eca", "it has a width with use_mlp=True alone", "use_mlp=True")

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(position_mean(x).view(x.shape[0], 1, x.shape[1]))
        if self.conv2 is not None:
            y = self.conv2(self.act(y))  # pyright: ignore[reportOptionalCall]
        return gate_channels(x, self.gate(y).view(x.shape[0], x.shape[1], 1, 1))  # pyright: ignore[reportOptionalCall]

    def init_identity(self) -> float:
        """Start as 0.5 x, every parameter learning from the first step; returns 0.5."""
        if isinstance(self.conv2, nn.Conv1d):
            pair_hidden_units_(self.conv, self.conv2)
        else:
            zero_(self.conv)
        return 0.5


def adaptive_kernel(channels: int, gamma: float, beta: float) -> int:
    """k of eq. 12: a whole number, made odd."""
    t = int(abs((math.log2(channels) + beta) / gamma))
    return t if t % 2 else t + 1


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """`bias` is not for choice: the perceptron of timm has biases, the paper's layer none."""
    found = dict(options)
    use_mlp = found.get("use_mlp", False)
    bias = found.pop("bias", use_mlp)
    if bias is not use_mlp:
        refuse("eca", f"bias={bias!r} does not go with use_mlp={use_mlp!r}", f"bias={use_mlp!r}")
    return found


def _width(channels: int, reduction: float | None, reduced_channels: int | None) -> int:
    """R; timm's rule where nothing is given."""
    if reduction is None and reduced_channels is None:
        return make_divisible(channels / 8, divisor=8)
    return bottleneck_width(channels, reduction or 8, reduced_channels)


def _of_channels(kernels: Mapping[int | str, int], channels: int) -> int:
    found = {str(key): kernel for key, kernel in kernels.items()}  # JSON has string keys only
    if str(channels) not in found:
        refuse("eca", f"kernel_size={dict(kernels)!r} has no entry for channels={channels}")
    return found[str(channels)]
