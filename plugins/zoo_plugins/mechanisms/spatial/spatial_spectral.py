"""Spatial-spectral self-attention (Meng, Ma, Yuan, ECCV 2020: TSA-Net, section 3.2).

    f = BN(conv1x1(x))                                     C_in -> C channels
    A_x, A_y: softmax(Q K^T / sqrt(spatial_dim))           rows x rows, columns x columns
    A_l:      softmax(Q K^T / sqrt(spectral_dim))          channels x channels
    y = gamma aggregate_heads(A_l up(A_x down(v) A_y^T)) + f

x: (B, C_in, H, W), y: (B, C, H, W); v: `num_heads` projections of f. Q and K of the rows come from
two convolutions along W, those of the columns the same on the transposed map, those of the channels
from two unpadded 5x5 ones of stride 2; each ends in a linear layer. mode = (a, b) says which of the
two spatial convolutions halve the other axis as well; then v is halved too, and the result enlarged
by a transposed convolution. `spectral_mask` adds a raised cosine to A_l and divides by sqrt(1.1).

As the authors' PyTorch code, which by their account is simpler than the paper (their TensorFlow
code). It wants sides that are multiples of 4, at least 16; here any will do: halving rounds up, and
what the 5x5 convolutions see is padded with zeros to 13 x 13.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveInt, Size
from zoo.sdk.map_size import as_pair, require_size
from zoo.sdk.precision import wide_matmul
from zoo.sdk.tables import Tables

NAME = "spatial_spectral"
KERNELS = ((1, 5), (3, 5))  # by mode, as are the next two
STRIDES = ((1, 2), (2, 2))
PADDINGS = ((0, 2), (1, 2))
LEAST = 13  # a side that two unpadded 5x5 convolutions of stride 2 bring to 1


class SpatialFeature(nn.Module):
    """(B, C, H, W) -> (B, heads, H', dim): a description of each row."""

    def __init__(
        self, channels: int, heads: int, width: int, dim: int, mode: tuple[int, int], dd: Any
    ) -> None:
        super().__init__()
        self.conv1 = _conv_block(channels, heads, mode[0], dd)
        self.conv2 = _conv_block(heads, heads, mode[1], dd)
        self.fully = nn.Sequential(nn.Linear(_quarter(width), dim, **dd), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        return self.fully(self.conv2(self.conv1(x)))


class SpectralFeature(nn.Module):
    """(B, C, H, W) -> (B, heads, C, dim): a description of each channel."""

    def __init__(self, channels: int, heads: int, size: tuple[int, int], dim: int, dd: Any) -> None:
        super().__init__()
        self.heads = heads
        self.conv1 = _block(nn.Conv2d(channels, channels, 5, 2, **dd), dd)
        self.conv2 = _block(nn.Conv2d(channels, channels, 5, 2, **dd), dd)
        positions = math.prod(_unpadded(max(side, LEAST)) for side in size)
        linear = nn.Linear(positions, heads * dim, **dd)
        self.fully = nn.Sequential(linear, nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        features = self.fully(self.conv2(self.conv1(x)).flatten(2))
        return features.unflatten(2, (self.heads, -1)).transpose(1, 2)


class SpatialSpectral(Tables):
    """(B, C_in, H, W) -> (B, C, H, W).

    Args:
        in_channels: C_in.
        out_channels: C, by default C_in.
        feat_size: (H, W) of the map, or one number for both.
        num_heads: 8.
        spatial_dim, spectral_dim: of Q and K, 64 and 80.
        mode: two of 0 and 1, (0, 0).
        spectral_mask: see above; False.
        gamma: the weight of the attention, not learned, 1.
    """

    __constants__ = ["LEAST", "MASK_SCALE"]  # of TorchScript
    LEAST, MASK_SCALE = LEAST, 1.1

    if TYPE_CHECKING:  # TorchScript cannot read postponed annotations
        gamma: Tensor
        mask: Tensor | None

    def __init__(
        self,
        in_channels: PositiveInt,
        out_channels: PositiveInt | None = None,
        *,
        feat_size: Size,
        num_heads: PositiveInt = 8,
        spatial_dim: PositiveInt = 64,
        spectral_dim: PositiveInt = 80,
        mode: tuple[Literal[0, 1], Literal[0, 1]] = (0, 0),
        spectral_mask: bool = False,
        gamma: float = 1.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        channels = in_channels if out_channels is None else out_channels
        self.num_heads = num_heads
        height, width = self.feat_size = as_pair(feat_size)
        dd: Any = {"device": device, "dtype": dtype}
        self.register_buffer("gamma", torch.tensor(gamma, **dd))
        mask = torch.empty(channels, channels, **dd) if spectral_mask else None
        self.register_buffer("mask", mask, persistent=False)
        self._init_buffers()

        self.preproc = _projection(in_channels, channels, dd)
        self.query_x = SpatialFeature(channels, num_heads, width, spatial_dim, mode, dd)
        self.query_y = SpatialFeature(channels, num_heads, height, spatial_dim, mode, dd)
        self.key_x = SpatialFeature(channels, num_heads, width, spatial_dim, mode, dd)
        self.key_y = SpatialFeature(channels, num_heads, height, spatial_dim, mode, dd)
        self.query_lambda = SpectralFeature(channels, num_heads, self.feat_size, spectral_dim, dd)
        self.key_lambda = SpectralFeature(channels, num_heads, self.feat_size, spectral_dim, dd)
        self.value = _projection(channels, num_heads * channels, dd)
        self.down_sample, self.up_sample = _resamplers(channels, sum(mode), dd)
        self.aggregation = nn.Linear(num_heads * channels, channels, **dd)

    def _init_buffers(self) -> None:
        if self.mask is not None:
            self.mask.copy_(raised_cosine(len(self.mask)))

    def forward(self, x: Tensor) -> Tensor:
        return self.attend(x)[0]

    def attend(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """y, and the attentions of rows, columns and channels, each (B, heads, N, N)."""
        if not torch.jit.is_scripting():
            x = require_size(NAME, x, self.feat_size)
        f = self.preproc(x)
        turned = f.transpose(2, 3)
        short = (0, max(0, self.LEAST - f.shape[3]), 0, max(0, self.LEAST - f.shape[2]))
        padded = F.pad(f, short)
        rows = _weights(self.query_x(f), self.key_x(f))
        columns = _weights(self.query_y(turned), self.key_y(turned))
        spectra = _weights(self.query_lambda(padded), self.key_lambda(padded))
        if self.mask is not None:
            spectra = (spectra + self.mask) / math.sqrt(self.MASK_SCALE)
        value = self._spatial(self.value(f), rows, columns)  # (B, heads, C, H, W)
        mixing = self.aggregation.weight.unflatten(1, (self.num_heads, -1))
        mixing = torch.einsum("ohc,bhcd->bohd", mixing, spectra)  # both linear: one small matrix
        out = mixing.flatten(2) @ value.flatten(1, 2).flatten(2)
        out = (out + self.aggregation.bias[:, None]).view(f.shape)
        return torch.addcmul(f, self.gamma, out), rows, columns, spectra

    def _spatial(self, value: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        value = value.unflatten(1, (self.num_heads, -1))
        batch, size = value.shape[:2], value.shape[3:]
        if self.down_sample is not None:
            value = self.down_sample(value.flatten(0, 1)).unflatten(0, batch)
        value = torch.einsum("bhcjw,bhvw->bhcjv", value, columns)
        value = torch.einsum("bhij,bhcjv->bhciv", rows, value)
        if self.up_sample is not None:
            value = self.up_sample(value.flatten(0, 1)).unflatten(0, batch)
        return value[..., : size[0], : size[1]]


def reference_call(module: SpatialSpectral, x: Tensor) -> dict[str, Tensor]:
    """What a reference case records: y, and the attentions with the heads first in the batch."""
    y, rows, columns, spectra = module.attend(x)
    named = {"attn_x": rows, "attn_y": columns, "attn_lambda": spectra}
    return {"y": y, **{name: a.transpose(0, 1).flatten(0, 1) for name, a in named.items()}}


def raised_cosine(size: int) -> Tensor:
    """(C, C): (1 + cos(pi d)) / 2 of the distance d of two channels, 1 across all of them."""
    positions = torch.arange(size, dtype=torch.float64, device="cpu") / max(size - 1, 1)
    return (torch.cos(math.pi * (positions[:, None] - positions)) + 1) / 2


def _weights(query: Tensor, key: Tensor) -> Tensor:
    logits = wide_matmul(query, key.transpose(2, 3)) / math.sqrt(query.shape[3])
    return torch.softmax(logits, 3).to(query.dtype)


def _conv_block(inputs: int, outputs: int, mode: int, dd: Any) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, KERNELS[mode], STRIDES[mode], PADDINGS[mode], **dd)
    return _block(conv, dd)


def _block(conv: nn.Conv2d, dd: Any) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels, **dd), nn.ReLU(inplace=True))


def _projection(inputs: int, outputs: int, dd: Any) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 1, bias=False, **dd)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs, **dd))


def _resamplers(
    channels: int, halvings: int, dd: Any
) -> tuple[nn.Sequential | None, nn.ConvTranspose2d | None]:
    if halvings == 0:
        return None, None
    widths = [channels << i for i in range(halvings + 1)]
    down = [
        _block(nn.Conv2d(a, b, 3, 2, 1, **dd), dd)
        for a, b in zip(widths[:-1], widths[1:], strict=True)
    ]
    scale = 1 << halvings
    return nn.Sequential(*down), nn.ConvTranspose2d(widths[-1], channels, scale, scale, **dd)


def _quarter(side: int) -> int:
    return -(-side // 4)


def _unpadded(side: int) -> int:
    """What two unpadded convolutions of 5 and stride 2 leave of a side."""
    for _ in range(2):
        side = (side - 5) // 2 + 1
    return side
