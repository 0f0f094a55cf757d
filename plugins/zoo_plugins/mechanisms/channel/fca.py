"""Frequency channel attention (Qin et al., ICCV 2021, arXiv 2012.11879, section 3.3: FcaNet).

    z_c = sum_hw x_c[h, w] B_g[h, w]                 g: the group of channel c, of n       (eq. 7)
    y = x * sigmoid(W2 relu(W1 z))
    B[h, w] = cos(pi u (h + 1/2) / H) cos(pi v (w + 1/2) / W), orthonormal                 (eq. 6)

x, y: (B, C, H, W); one DCT-II basis image B for each of n contiguous groups of channels; W1:
(C/r, C), no biases. The frequencies (u, v) are those of the authors' code on a grid of 7 x 7, the
first n of a ranking by accuracy (`top`), its reverse (`bot`) or the lowest (`low`), times H // 7
and W // 7. `top1` is a mean times sqrt(HW). The images have a fixed size, in the authors' networks
that of the map at 224 pixels (56, 28, 14, 7); a map of another size is pooled to it first.

The authors keep the images, repeated for every channel, in their state dict; here they are n
images outside it, computed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import register_notrace_function
from torch import Tensor, nn

from zoo.sdk import (
    Count,
    PositiveFloat,
    PositiveInt,
    Size,
    bottleneck_width,
    check_divisible,
    pair_hidden_units_,
    refuse,
)
from zoo.sdk.map_size import as_pair
from zoo.sdk.tables import Tables
from zoo_plugins.mechanisms.channel.fca_frequencies import Ranking, default_size, ranked

Frequency = tuple[Count, Count]


class FrequencyChannelAttention(Tables):
    """(B, C, H, W) -> the same shape, each channel scaled by a gate in (0, 1).

    Args:
        channels: C.
        reduction: r, 16.
        reduced_channels: the width of the hidden layer itself, instead of C / r.
        dct_size: of the basis images: one number for both sides, a pair, or a mapping from C to
            either, which serves a whole network.
        feat_size: (H, W) of the map, which the images take where it is larger than 7, unless
            `dct_size` is given.
        frequencies: `top`, `low` or `bot` with 1, 2, 4, 8, 16 or 32, or the pairs (u, v)
            themselves; by default `top16`, or the most below 16 that divide C.
        bias: of both layers, False.
    """

    any_size = True  # of the map: it is pooled to the images

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 16,
        reduced_channels: PositiveInt | None = None,
        dct_size: Size | Mapping[int | str, Size] | None = None,
        feat_size: Size | None = None,
        frequencies: Ranking | Sequence[Frequency] | None = None,
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        size = _size(channels, dct_size) or default_size(feat_size)
        if frequencies is None:
            frequencies = ranked(f"top{math.gcd(channels, 16)}", size)
        elif isinstance(frequencies, str):
            frequencies = ranked(frequencies, size)
        self.frequencies = _fitting(frequencies, size, channels)
        self.basis: Tensor
        basis = torch.empty(len(self.frequencies), *size, device=device, dtype=dtype)
        self.register_buffer("basis", basis, persistent=False)
        self._init_buffers()
        width = bottleneck_width(channels, reduction, reduced_channels)
        self.fc1 = nn.Linear(channels, width, bias=bias, device=device, dtype=dtype)
        self.fc2 = nn.Linear(width, channels, bias=bias, device=device, dtype=dtype)

    def _init_buffers(self) -> None:
        size = (self.basis.shape[1], self.basis.shape[2])
        self.basis.copy_(torch.stack([dct_image(size, each) for each in self.frequencies]))

    def forward(self, x: Tensor) -> Tensor:
        z = spectral_pool(x, self.basis)
        gate = torch.sigmoid(self.fc2(F.relu(self.fc1(z))))
        return x * gate.unsqueeze(2).unsqueeze(3)

    def init_identity(self) -> float:
        """Start as 0.5 x, every parameter learning from the first step; returns 0.5."""
        pair_hidden_units_(self.fc1, self.fc2)
        return 0.5

    def extra_repr(self) -> str:
        return "frequencies={}, dct_h={}, dct_w={}".format(*self.basis.shape)


@register_notrace_function
def spectral_pool(x: Tensor, basis: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C): the product of each channel with the image of its group."""
    if torch.jit.is_tracing() or x.shape[2:] != basis.shape[1:]:  # a trace must fit every size
        x = F.adaptive_avg_pool2d(x, (basis.shape[1], basis.shape[2]))
    grouped = x.unflatten(1, (basis.shape[0], -1))  # (B, n, C/n, H, W)
    return (grouped * basis.unsqueeze(1)).sum((3, 4)).flatten(1)


def dct_image(size: tuple[int, int], frequency: tuple[int, int]) -> Tensor:
    """The DCT-II basis image (H, W) of a frequency (u, v), in float64."""
    rows, columns = (_cosine(*axis) for axis in zip(size, frequency, strict=True))
    return rows[:, None] * columns


def _cosine(length: int, frequency: int) -> Tensor:
    positions = torch.arange(length, dtype=torch.float64, device="cpu") + 0.5
    scale = math.sqrt((2 if frequency else 1) / length)
    return torch.cos(math.pi * frequency * positions / length) * scale


def _size(channels: int, size: Size | Mapping[int | str, Size] | None) -> tuple[int, int] | None:
    if isinstance(size, Mapping):
        sizes = {str(key): each for key, each in size.items()}  # JSON has string keys only
        if str(channels) not in sizes:
            refuse("fca", f"dct_size={dict(size)!r} has no entry for channels={channels}")
        size = sizes[str(channels)]
    return None if size is None else as_pair(size)


def _fitting(
    frequencies: Sequence[Frequency], size: tuple[int, int], channels: int
) -> list[tuple[int, int]]:
    """As many as there are equal groups of channels, each within the image."""
    if not frequencies:
        refuse("fca", f"frequencies={frequencies!r} names none")
    for u, v in frequencies:
        if u >= size[0] or v >= size[1]:
            refuse("fca", f"frequencies: ({u}, {v}) is beyond the image of {size[0]} x {size[1]}")
    number = "the number of frequencies"
    check_divisible("fca", "channels", channels, number, len(frequencies))
    return list(frequencies)
