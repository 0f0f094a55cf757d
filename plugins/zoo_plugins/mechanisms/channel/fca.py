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

from zoo.sdk.identity import pair_hidden_units_
from zoo.sdk.map_size import Size, size_pair
from zoo.sdk.options import (
    agree,
    check_bool,
    check_choice,
    check_divisible,
    check_int,
    hidden_width,
    refuse,
)
from zoo.sdk.tables import Tables
from zoo_plugins.mechanisms.channel.fca_frequencies import GRID, RANKINGS

COUNTS = (1, 2, 4, 8, 16, 32)
METHODS = tuple(f"{ranking}{count}" for ranking in RANKINGS for count in COUNTS)


class FrequencyChannelAttention(Tables):
    """(B, C, H, W) -> the same shape, each channel scaled by a gate in (0, 1).

    Args:
        channels: C.
        reduction: r, 16. reduced_channels, rd_channels, rd_ratio, rd_divisor: in other terms.
        dct_h, dct_w, dct_size: size of the basis images; `dct_size` is one number for both, a pair,
            or a mapping from C to either, which serves a whole network.
        feat_size: (H, W) of the map, which the images take where it is larger than 7, their
            default.
        freq_sel_method: `top`, `low` or `bot` with 1, 2, 4, 8, 16 or 32; by default `top16`, or
            the most below 16 that divide C.
        freq_indices: the pairs (u, v) themselves.
        bias: of both layers, False.
        act_layer: not used (timm's builders hand one to every attention).
    """

    any_size = True  # of the map: the images are pooled to it

    def __init__(
        self,
        channels: int,
        *,
        reduction: float | None = None,
        reduced_channels: int | None = None,
        dct_h: int | None = None,
        dct_w: int | None = None,
        dct_size: int | Sequence[int] | Mapping[Any, Any] | None = None,
        feat_size: Sequence[int] | None = None,
        freq_sel_method: str | None = None,
        freq_indices: Sequence[Sequence[int]] | None = None,
        bias: bool = False,
        rd_ratio: float | None = None,
        rd_channels: int | None = None,
        rd_divisor: int = 1,
        act_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        channels = check_int("fca", "channels", channels)
        width = hidden_width(
            "fca",
            channels,
            default=channels // 16,
            reduction=reduction,
            reduced_channels=reduced_channels,
            rd_ratio=rd_ratio,
            rd_channels=rd_channels,
            rd_divisor=rd_divisor,
        )
        size = _size(channels, dct_h, dct_w, dct_size, feat_size)
        self.frequencies = _frequencies(channels, size, freq_sel_method, freq_indices)
        self.basis: Tensor
        basis = torch.empty(len(self.frequencies), *size, device=device, dtype=dtype)
        self.register_buffer("basis", basis, persistent=False)
        self._init_buffers()
        bias = check_bool("fca", "bias", bias)
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


def dct_image(size: Size, frequency: Size) -> Tensor:
    """The DCT-II basis image (H, W) of a frequency (u, v), in float64."""
    rows, columns = (_cosine(*axis) for axis in zip(size, frequency, strict=True))
    return rows[:, None] * columns


def _cosine(length: int, frequency: int) -> Tensor:
    positions = torch.arange(length, dtype=torch.float64, device="cpu") + 0.5
    scale = math.sqrt((2 if frequency else 1) / length)
    return torch.cos(math.pi * frequency * positions / length) * scale


def _size(
    channels: int,
    dct_h: int | None,
    dct_w: int | None,
    dct_size: int | Sequence[int] | Mapping[Any, Any] | None,
    feat_size: Sequence[int] | None,
) -> Size:
    if isinstance(dct_size, Mapping):
        sizes = {str(key): size for key, size in dct_size.items()}  # JSON has string keys only
        if str(channels) not in sizes:
            refuse("fca", f"dct_size={dict(dct_size)!r} has no entry for channels={channels}")
        dct_size = sizes[str(channels)]
    both = (None, None) if dct_size is None else size_pair("fca", "dct_size", dct_size)
    maps = (GRID, GRID) if feat_size is None else size_pair("fca", "feat_size", feat_size)
    height = agree("fca", dct_h=dct_h, dct_size=both[0]) or max(maps[0], GRID)
    width = agree("fca", dct_w=dct_w, dct_size=both[1]) or max(maps[1], GRID)
    return check_int("fca", "dct_h", height), check_int("fca", "dct_w", width)


def _frequencies(
    channels: int, size: Size, method: str | None, indices: Sequence[Sequence[int]] | None
) -> list[Size]:
    given = None if indices is None else [_frequency(pair, size) for pair in indices]
    if method is None and given is None:
        method = f"top{math.gcd(channels, 16)}"
    ranked = None
    if method is not None:
        check_choice("fca", "freq_sel_method", method, METHODS)
        ranking = RANKINGS[method[:3]][: int(method[3:])]
        ranked = [(u * (size[0] // GRID), v * (size[1] // GRID)) for u, v in ranking]
    chosen = agree(
        "fca",
        freq_sel_method=None if ranked is None else (method, ranked),
        freq_indices=given,
    )
    if not chosen:
        refuse("fca", f"freq_indices={indices!r} names no frequency")
    check_divisible("fca", "channels", channels, "the number of frequencies", len(chosen))
    return chosen


def _frequency(pair: Any, size: Size) -> Size:
    if not isinstance(pair, Sequence) or len(pair) != 2:
        refuse("fca", f"freq_indices: {pair!r} is no pair (u, v)")
    u, v = (check_int("fca", "freq_indices", each, 0) for each in pair)
    if u >= size[0] or v >= size[1]:
        refuse("fca", f"freq_indices: {pair!r} is beyond the image of {size[0]} x {size[1]}")
    return u, v
