"""The gates of AutoLA's search space (see `hoga`): (B, c, H, W) -> the same shape, f(x) = x * gate.

    SE, SE_A_M            sigmoid(W2 relu(W1 mean_hw(x))); the latter adds the same of max_hw(x)
    CBAM                  the module `cbam`
    sep_conv_3x3          sigmoid(S(S(x)) with ReLU between, S = BN(1x1(depthwise 3x3)))
    dil_conv_3x3          sigmoid(S(x)), the depthwise convolution with dilation 2
    *_spatial             the same on the planes [max_c, mean_c], giving one plane
    skip_connect, none    1 and 0

No convolution or linear layer but CBAM's has a bias.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo_plugins.mechanisms.mixed.cbam import Cbam, channel_max, spatial_max


class Zero(nn.Module):
    """x * 0."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 0


class PlainSqueezeExcite(nn.Module):
    """SE without biases; a hidden width of 0 is a gate of 0.5."""

    def __init__(
        self, channels: int, reduction: int, *, add_max: bool = False, device: Any, dtype: Any
    ) -> None:
        super().__init__()
        dd: Any = {"bias": False, "device": device, "dtype": dtype}
        self.add_max = add_max
        with warnings.catch_warnings():  # of a width of 0
            warnings.simplefilter("ignore", UserWarning)
            self.fc1 = nn.Linear(channels, channels // reduction, **dd)
            self.fc2 = nn.Linear(channels // reduction, channels, **dd)

    def forward(self, x: Tensor) -> Tensor:
        logits = self._mlp(x.mean((2, 3)))
        if self.add_max:
            logits = logits + self._mlp(spatial_max(x))
        return x * torch.sigmoid(logits).unsqueeze(2).unsqueeze(3)

    def _mlp(self, pooled: Tensor) -> Tensor:
        return self.fc2(F.relu(self.fc1(pooled)))


class ConvGate(nn.Module):
    """x * sigmoid(op(x)), or op of two planes; `op` and its indices are the authors'."""

    def __init__(self, op: nn.Sequential, planes: bool) -> None:
        super().__init__()
        self.op, self.planes = op, planes

    def forward(self, x: Tensor) -> Tensor:
        seen = torch.cat([channel_max(x), x.mean(1, keepdim=True)], 1) if self.planes else x
        return x * torch.sigmoid(self.op(seen))


def _separable(inputs: int, outputs: int, dd: Any) -> list[nn.Module]:
    """Depthwise 3x3, 1x1, norm."""
    return [
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False, **dd),
        nn.Conv2d(inputs, outputs, 1, bias=False, **dd),
        nn.BatchNorm2d(outputs, **dd),
    ]


def _sep_conv(channels: int, dd: Any, *, planes: bool) -> nn.Module:
    inputs, outputs = (2, 1) if planes else (channels, channels)
    first, last = _separable(inputs, inputs, dd), _separable(inputs, outputs, dd)
    return ConvGate(nn.Sequential(*first, nn.ReLU(inplace=True), *last), planes)


def _dil_conv(channels: int, dd: Any, *, planes: bool) -> nn.Module:
    inputs, outputs, groups = (2, 1, 1) if planes else (channels, channels, channels)
    dilated: Any = {"padding": 2, "dilation": 2, "groups": groups, "bias": False, **dd}
    op = nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, **dilated),
        nn.Conv2d(outputs, outputs, 1, bias=False, **dd),
        nn.BatchNorm2d(outputs, **dd),
    )
    return ConvGate(op, planes)


CONV_GATES = {
    "sep_conv_3x3": partial(_sep_conv, planes=False),
    "dil_conv_3x3": partial(_dil_conv, planes=False),
    "sep_conv_3x3_spatial": partial(_sep_conv, planes=True),
    "dil_conv_3x3_spatial": partial(_dil_conv, planes=True),
}
Gate = Literal[
    "none", "skip_connect", "SE", "SE_A_M", "CBAM",
    "sep_conv_3x3", "dil_conv_3x3", "sep_conv_3x3_spatial", "dil_conv_3x3_spatial",
]  # fmt: skip


def make_gate(name: Gate, channels: int, reduction: int, dd: Any) -> nn.Module:
    """A gate by its name."""
    if name in CONV_GATES:
        return CONV_GATES[name](channels, dd)
    if name == "CBAM":
        return Cbam(channels, reduced_channels=max(1, channels // reduction), **dd)
    if name in ("SE", "SE_A_M"):
        return PlainSqueezeExcite(channels, reduction, add_max=name == "SE_A_M", **dd)
    return Zero() if name == "none" else nn.Identity()
