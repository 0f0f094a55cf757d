"""Non-local sparse attention (Mei, Fan, Zhou, CVPR 2021, "Image Super-Resolution with Non-Local
Sparse Attention", section 3.2).

    y_i = x_i + s sum_r p_r(i) sum_{j in delta_r(i)} softmax_j(q_i . q_j / |q_j|) v_j

q = conv 3x3 (C to C/reduction), v = conv 1x1. In each of R hash rounds the positions are sorted by
a locality-sensitive hash of q (the largest of [q A, -q A], A random), cut into chunks of equal
size, and delta_r(i) is i's chunk with the one before and the one after (circular). p_r is a softmax
over the rounds of the log of each round's normaliser (eq. 6-8).

x, y: (B, C, H, W). Cost N * 3 chunk_size. The number of hash buckets is N / chunk_size, made even,
at most 128. What is missing of the last chunk repeats the last entries. Parameter names are the
authors'. Here the sort is stable, since chunks cut buckets: with an unstable one the output is not
defined. The authors draw A in each call; here so in training, in eval A is drawn once and for all,
and `rotations=` sets it. Their code fails on maps smaller than a chunk; here such a map is one.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import (
    AtLeast,
    OddInt,
    PositiveFloat,
    PositiveInt,
    bottleneck_width,
    check_divisible,
    zero_,
)
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import only_this_size
from zoo.sdk.tables import Tables

NAME = "non_local_sparse"
MAX_BUCKETS = 128


class NonLocalSparse(Tables):
    """(B, C, H, W) -> the same shape.

    Args:
        channels: C.
        reduction: C over the channels of q, 4.
        reduced_channels: the channels of q themselves, instead of C / 4.
        kernel_size: of the convolution to q, odd, 3.
        n_hashes: R, 4.
        chunk_size: positions in a chunk, 144.
        hash_buckets: even; by default by the size of the map, as above.
        res_scale: s, 1.
        bias: of the convolutions.
    """

    fixed_rotations: Tensor

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 4,
        reduced_channels: PositiveInt | None = None,
        kernel_size: OddInt = 3,
        n_hashes: PositiveInt = 4,
        chunk_size: PositiveInt = 144,
        hash_buckets: Annotated[int, AtLeast(2)] | None = None,
        res_scale: PositiveFloat = 1.0,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_divisible(NAME, "hash_buckets", hash_buckets or 2, "the signs", 2)
        self.n_hashes, self.chunk_size = n_hashes, chunk_size
        self.hash_buckets, self.res_scale = hash_buckets, res_scale
        width = bottleneck_width(channels, reduction, reduced_channels)
        conv: Any = {"bias": bias, "device": device, "dtype": dtype}
        self.conv_match = nn.Conv2d(channels, width, kernel_size, padding="same", **conv)
        self.conv_assembly = nn.Conv2d(channels, channels, 1, **conv)
        half = max(MAX_BUCKETS, hash_buckets or 0) // 2
        rotations = torch.empty(width, self.n_hashes, half, device=device, dtype=dtype)
        self.register_buffer("fixed_rotations", rotations, persistent=False)
        self._init_buffers()

    def _init_buffers(self) -> None:
        random = torch.Generator().manual_seed(0)
        shape = self.fixed_rotations.shape
        self.fixed_rotations.copy_(torch.randn(shape, generator=random, device="cpu"))

    def init_identity(self) -> float:
        """Start as x: the last convolution is zero; returns 1."""
        zero_(self.conv_assembly)
        return 1.0

    def forward(self, x: Tensor, rotations: Tensor | None = None) -> Tensor:
        """`rotations`: A, (1, C/reduction, R, buckets / 2), or drawn as the docstring says."""
        x = only_this_size(x)  # how many buckets and chunks there are depends on it
        q = self.conv_match(x).flatten(2).transpose(1, 2)
        v = self.conv_assembly(x).flatten(2).transpose(1, 2)
        order = self._sorted_by_hash(q.detach(), rotations)  # B, R, N
        values, norms = self._attend(_take(q, order), _take(v, order))
        undo = order.argsort(-1)
        share = norms.gather(2, undo).softmax(1).unsqueeze(3)
        values = values.gather(2, undo.unsqueeze(3).expand_as(values))
        y = (values * share).sum(1).transpose(1, 2).reshape(x.shape)
        return x + y * self.res_scale

    def _sorted_by_hash(self, q: Tensor, rotations: Tensor | None) -> Tensor:
        """Positions in the order of their hash codes, (B, R, N)."""
        positions = q.shape[1]
        chunks = positions // self.chunk_size
        buckets = min(max(2, chunks + chunks % 2), MAX_BUCKETS)
        buckets = self.hash_buckets or buckets
        if rotations is None and self.training:
            rotations = torch.randn(
                (1, q.shape[2], self.n_hashes, buckets // 2), dtype=q.dtype, device=q.device
            )
        elif rotations is None:
            rotations = self.fixed_rotations[None, :, :, : buckets // 2].to(q.dtype)
        else:
            check_shape(NAME, "rotations", rotations, (1, q.shape[2], self.n_hashes, buckets // 2))
        rotated = torch.einsum("bnc,crh->brnh", q, rotations[0])
        codes = torch.cat((rotated, -rotated), 3).argmax(3)
        return codes.sort(dim=2, stable=True).indices

    def _attend(self, q: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Sorted q and v (B, R, N, .) -> attended values, and log normalisers (B, R, N)."""
        positions = q.shape[2]
        chunk = min(self.chunk_size, positions)
        more = -positions % chunk
        if more:
            q, v = (torch.cat((t, t[:, :, -more:]), 2) for t in (q, v))
        q, v = q.unflatten(2, (-1, chunk)), v.unflatten(2, (-1, chunk))  # B, R, chunks, chunk, .
        keys = _with_neighbours(F.normalize(q, dim=-1, eps=5e-5))
        logits = q @ keys.transpose(3, 4)
        norms = logits.logsumexp(4, keepdim=True)
        values = (logits - norms).exp() @ _with_neighbours(v)
        return values.flatten(2, 3)[:, :, :positions], norms.flatten(2)[:, :, :positions]


def _take(x: Tensor, order: Tensor) -> Tensor:
    """Rows of x (B, N, C) in each order (B, R, N): (B, R, N, C)."""
    index = order.flatten(1).unsqueeze(2).expand(-1, -1, x.shape[2])
    return x.gather(1, index).unflatten(1, order.shape[1:])


def _with_neighbours(x: Tensor) -> Tensor:
    """Each chunk (dimension 2) with the one before and the one after it."""
    return torch.cat((x, x.roll(1, 2), x.roll(-1, 2)), 3)
