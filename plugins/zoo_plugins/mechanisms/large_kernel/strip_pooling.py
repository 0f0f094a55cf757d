"""Strip pooling (Hou, Zhang, Cheng, Feng, CVPR 2020, arXiv 2003.13328).

The strip pooling module, `variant="spm"` (section 3.2, as in the authors' backbone):

    A(x) = sigmoid(conv1x1(relu(BN(conv_(3,1)(mean_w(x))) + BN(conv_(1,3)(mean_h(x))))))
    y = x * A(x)

The mixed pooling module, `variant="mpm"` (section 3.3, in their head), is in
`mixed_pooling.py`. timm's strip attention, `variant="timm"`, is a smaller thing:

    y = x * sigmoid(DW_(k,1)(mean_w(x)) + DW_(1,k)(mean_h(x)))         (+ x with `has_skip`)

x, y, A: (B, C, H, W); mean_w gives (B, C, H, 1), mean_h (B, C, 1, W), and their sum is one of all
pairs. The strips' convolutions of spm are full, without bias; the 1x1 one has a bias. The paper
expands each strip by interpolation, which is the same as this sum. Parameter names are those of the
authors and of timm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from timm.layers.coord_attn import StripAttn
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveFloat, PositiveInt, bottleneck_width, refuse, zero_
from zoo_plugins.mechanisms.large_kernel.mixed_pooling import NAME, REMEDY, MixedPooling


def strip_pooling(
    channels: int,
    *,
    variant: Literal["spm", "mpm", "timm"] = "spm",
    kernel_size: OddInt = 3,
    reduction: PositiveFloat = 4,
    reduced_channels: PositiveInt | None = None,
    pool_sizes: Sequence[PositiveInt] = (20, 12),
    use_conv: bool = True,
    bias: bool = False,
    has_skip: bool = False,
    device: Any = None,
    dtype: Any = None,
) -> nn.Module:
    """Strip pooling as a gate, in the authors' head, or as in timm.

    Args:
        channels: C.
        variant: `spm` (a gate), `mpm` (a residual refinement, relu(x + f(x))) or `timm`.
        kernel_size: of the strips' convolutions (in mpm of the square ones too), odd, 3.
        reduction: C over the width of the branches of mpm, 4.
        reduced_channels: that width itself.
        pool_sizes: of the two square poolings of mpm, 20 and 12 cells a side.
        use_conv: of timm's: False leaves its convolutions out.
        bias: of timm's convolutions.
        has_skip: of timm's: x is added.
    """
    dd: Any = {"device": device, "dtype": dtype}
    if variant != "timm" and (bias or has_skip or not use_conv):
        refuse(NAME, f"{variant} has no use_conv, bias or has_skip", 'variant="timm"')
    if variant == "spm":
        return StripPooling(channels, kernel_size, **dd)
    if variant == "timm":
        options: Any = {"use_conv": use_conv, "bias": bias, "has_skip": has_skip}
        return StripAttention(channels, kernel_size=kernel_size, **options, **dd)
    width = bottleneck_width(channels, reduction, reduced_channels)
    return MixedPooling(channels, width, kernel_size, pool_sizes, **dd)


class StripPooling(nn.Module):
    """(B, C, H, W) -> the same shape, scaled by what its row and its column hold."""

    def __init__(self, channels: int, kernel_size: int, **dd: Any) -> None:
        super().__init__()
        half = kernel_size // 2
        full: Any = {"bias": False, **dd}
        self.conv1 = nn.Conv2d(channels, channels, (kernel_size, 1), padding=(half, 0), **full)
        self.bn1 = nn.BatchNorm2d(channels, **dd)
        self.conv2 = nn.Conv2d(channels, channels, (1, kernel_size), padding=(0, half), **full)
        self.bn2 = nn.BatchNorm2d(channels, **dd)
        self.conv3 = nn.Conv2d(channels, channels, 1, **dd)

    def attention(self, x: Tensor) -> Tensor:
        """A(x), (B, C, H, W)."""
        rows = self.bn1(self.conv1(x.mean(3, keepdim=True)))
        columns = self.bn2(self.conv2(x.mean(2, keepdim=True)))
        return torch.sigmoid(self.conv3(F.relu(rows + columns)))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)

    def init_identity(self) -> float:
        """Start as 0.5 x by a zero last layer; what is before it learns from step two."""
        zero_(self.conv3)
        return 0.5


class StripAttention(StripAttn):
    """timm's strip attention: (B, C, H, W) -> the same shape."""

    def init_identity(self) -> float:
        """Start as 0.5 x, or 1.5 x with `has_skip`, by zero convolutions.

        Raises:
            OptionError: without convolutions.
        """
        if not self.use_conv:
            refuse(NAME, "without convolutions it cannot start as c x", REMEDY)
        zero_(self.conv_h, self.conv_w)
        return 1.5 if self.has_skip else 0.5


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """`bias` of authors' code: True of the gate's last layer, False in the head; both are fixed.

    Raises:
        ValueError: if it is another value.
    """
    given = dict(options)
    variant = given.get("variant", "spm")
    if variant == "timm" or "bias" not in given:
        return given
    if given.pop("bias") is not (variant == "spm"):
        raise ValueError(f"{variant} is written for bias={variant == 'spm'} alone")
    return given


def reference_call(module: nn.Module, x: Tensor) -> Any:
    """What a reference case records: of the gate, its map too."""
    if isinstance(module, StripPooling):
        attention = module.attention(x)
        return {"y": x * attention, "attention": attention}
    return module(x)
