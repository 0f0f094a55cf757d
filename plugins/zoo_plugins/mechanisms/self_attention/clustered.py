"""Clustered attention (Vyas, Katharopoulos, Fleuret, NeurIPS 2020, arXiv 2007.04825, section 3).

    q^c_j = mean of the q_i in cluster j,   A^c = softmax(t Q^c K^T),   y_i = A^c_{j(i)} V
                                                                                     (eq. 3-6)

Queries are clustered by k-means on the signs of random projections, so that N queries cost what C
centroids do: C N instead of N^2. Improved (section 3.3): with T the k keys of largest A^c_j,

    y_i = sum_{l not in T} A^c_jl v_l + (sum_{l in T} A^c_jl) softmax_T(t q_i . k_l) v_T    (eq. 10)

x, y: (B, N, C). q, k, v are linear in x, in heads that are clustered apart; without `dim` they are
x itself. The mass of T gets no gradient, as in the authors' code, where a kernel multiplies by it;
`mass_gradient=True` is the equation's. The authors draw planes and first centroids in every call;
here so in training, by `generator`, in eval they are fixed by `seed`: one position out of each of C
equal parts of the tokens that are present. A cluster that is empty keeps its centroid, where their
code draws another. Queries that are absent get zeros.

Started from the projections of a transformer (`take_over`), 100 clusters have a cosine of the
logits of 0.9999 for vit_small with timm's initial weights, 0.996 at 0.91 of the flat attention's
entropy (0.998 if improved), and 0.47 (0.40) at 0.35 of it, on noise. With topk of all tokens, the
improved form is softmax attention.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.sdk import Count, PositiveFloat, PositiveInt, Share, refuse
from zoo.sdk.attend import attend, attention_weights, mask_of_lengths
from zoo.sdk.precision import at_least_float32
from zoo.sdk.tables import Tables
from zoo_plugins.mechanisms.self_attention.hashing import (
    cluster,
    counts,
    hash_codes,
    spread_positions,
    sums,
)
from zoo_plugins.mechanisms.self_attention.token_mixer import TokenMixer

NAME = "clustered"


class ClusteredAttention(TokenMixer, Tables):
    """(B, N, C) -> the same shape.

    Args:
        dim: C. None: no projections.
        num_heads: 8, or fewer if that does not divide C; without `dim` 1.
        head_dim, value_dim: channels of q and k, and of v, in a head, C / num_heads.
        num_clusters: C of the equations, 100.
        iterations: assignments of k-means, 10. bits: of a hash, 63; hash_bias: its planes have one.
        improved: attend again to the keys T.
        topk: k, 32 by default.
        mass_gradient: the mass of T has a gradient.
        softmax_temp: t, by default head_dim^-1/2.
        dropout: of the attention weights.
        qkv_bias, bias, qk_norm, norm_eps: as in `multi_head`.
        seed: of the planes and the first centroids in eval.
    """

    mechanism = NAME
    fixed_planes: Tensor
    fixed_draws: Tensor

    def __init__(
        self,
        dim: PositiveInt | None = None,
        *,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        value_dim: PositiveInt | None = None,
        num_clusters: PositiveInt = 100,
        iterations: PositiveInt = 10,
        bits: PositiveInt = 63,
        hash_bias: bool = True,
        improved: bool = False,
        topk: PositiveInt | None = None,
        mass_gradient: bool = False,
        softmax_temp: PositiveFloat | None = None,
        dropout: Share = 0.0,
        qkv_bias: bool = True,
        bias: bool = True,
        qk_norm: bool = False,
        norm_eps: PositiveFloat = 1e-5,
        seed: Count = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            dim, num_heads=num_heads, head_dim=head_dim, value_dim=value_dim, bias=bias,
            qkv_bias=qkv_bias, qk_norm=qk_norm, norm_eps=norm_eps, device=device, dtype=dtype,
        )  # fmt: skip
        if not self.head_dim:
            refuse(NAME, "neither dim nor head_dim is given", "dim=64")
        self.num_clusters, self.iterations = num_clusters, iterations
        self.bits, self.hash_bias = bits, hash_bias
        self.improved, self.mass_gradient = improved, mass_gradient
        self.topk = 32 if topk is None else topk
        self.scale = self.head_dim**-0.5 if softmax_temp is None else softmax_temp
        self.dropout, self.seed = dropout, seed
        dd: Any = {"device": device, "dtype": dtype}
        planes = torch.empty(self.bits, self.head_dim + 1, **dd)
        self.register_buffer("fixed_planes", planes, persistent=False)
        draws = torch.empty(self.num_clusters, **dd)
        self.register_buffer("fixed_draws", draws, persistent=False)
        self._init_buffers()

    def _init_buffers(self) -> None:
        planes, draws = self._draw(torch.Generator().manual_seed(self.seed))
        self.fixed_planes.copy_(planes)
        self.fixed_draws.copy_(draws)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        q, k, v = self.project(x, mask)
        planes, draws = self.fixed_planes, self.fixed_draws
        if self.training:
            planes, draws = (t.to(x) for t in self._draw(generator))
        present = torch.ones_like(x[:, :, 0], dtype=torch.bool) if mask is None else mask
        start = spread_positions(present, draws)
        return self.merge(self.attend(q, k, v, planes, start, present, mask)[0])

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, planes: Tensor, start: Tensor, present: Tensor,
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Values (B, heads, N, value_dim), clusters (B, heads, N) and their sizes (B, heads, C).

        Args:
            planes: (bits, head_dim + 1), the last column the bias.
            start: (B, C) positions of the first centroids.
            present: (B, N) of the queries. mask: (B, M) of the keys.
        """
        batch, heads, length, _ = q.shape
        flat = q.flatten(0, 1)
        present = present.repeat_interleave(heads, 0)
        codes = hash_codes(flat, planes, self.hash_bias)
        members = cluster(codes, present, start.repeat_interleave(heads, 0), self.iterations)
        sizes = counts(members, start.shape[1])
        means = sums(at_least_float32(flat), members, start.shape[1])
        means = (means / sizes.clamp(min=1)[:, :, None]).to(q.dtype)
        members, sizes = (t.unflatten(0, (batch, heads)) for t in (members, sizes))
        means = means.unflatten(0, (batch, heads))
        values = self._values(q, means, k, v, members, mask)
        absent = ~present.view(batch, heads, length, 1)
        return values.masked_fill(absent, 0.0), members, sizes

    def _values(
        self, q: Tensor, means: Tensor, k: Tensor, v: Tensor, members: Tensor, mask: Tensor | None
    ) -> Tensor:
        members = members.clamp(max=means.shape[2] - 1)
        rate = self.dropout if self.training else 0.0
        if not self.improved:
            return _of(attend(means, k, v, mask, scale=self.scale, dropout=rate), members)
        weights = attention_weights(means, k, mask, scale=self.scale)
        mass, top = weights.topk(min(self.topk, k.shape[2]), 3, sorted=False)  # B, heads, C, topk
        rest = torch.dropout(weights.scatter(3, top, 0.0), rate, self.training) @ v
        share = mass.sum(3, keepdim=True)
        if not self.mass_gradient:
            share = share.detach()
        own = self._own(q, k, v, _of(top, members), mask, rate)
        return _of(rest, members) + _of(share, members) * own

    def _own(
        self, q: Tensor, k: Tensor, v: Tensor, top: Tensor, mask: Tensor | None, rate: float
    ) -> Tensor:
        """Each query's own attention to its keys T, `top` (B, heads, N, topk)."""
        logits = (_gathered(k, top) @ q.unsqueeze(4)).squeeze(4) * self.scale
        if mask is not None:
            there = mask[:, None, None].expand(-1, *top.shape[1:3], -1).gather(3, top)
            logits = logits.masked_fill(~there, torch.finfo(logits.dtype).min)
        weights = torch.dropout(logits.softmax(3), rate, self.training)
        return (weights.unsqueeze(3) @ _gathered(v, top)).squeeze(3)

    def _draw(self, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Planes (bits, head_dim + 1), and one draw in [0, 1) for each cluster."""
        device = "cpu" if generator is None else generator.device
        planes = torch.randn(self.bits, self.head_dim + 1, generator=generator, device=device)
        return planes, torch.rand(self.num_clusters, generator=generator, device=device)


def _of(rows: Tensor, members: Tensor) -> Tensor:
    """Each query's row of its cluster: (B, heads, C, E) at (B, heads, N) -> (B, heads, N, E)."""
    return rows.gather(2, members.unsqueeze(3).expand(-1, -1, -1, rows.shape[3]))


def _gathered(rows: Tensor, top: Tensor) -> Tensor:
    """Rows (B, heads, M, E) at the positions (B, heads, N, k) -> (B, heads, N, k, E)."""
    index = top.flatten(2).unsqueeze(3).expand(-1, -1, -1, rows.shape[3])
    return rows.gather(2, index).unflatten(2, top.shape[2:])


def reference_call(
    module: ClusteredAttention, queries: Tensor, keys: Tensor, values: Tensor, planes: Tensor,
    init_index: Tensor, query_lengths: Tensor, key_lengths: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """What a reference case records, in layout (B, N, heads, E); absent queries are in C + 1."""
    q, k, v = (t.transpose(1, 2) for t in (queries, keys, values))
    present = mask_of_lengths(query_lengths, q.shape[2])
    mask = mask_of_lengths(key_lengths, k.shape[2])
    start = init_index.expand(q.shape[0], -1)
    y, members, sizes = module.attend(q, k, v, planes, start, present, mask)
    absent = ~present[:, None].expand_as(members)
    return y.transpose(1, 2), members.masked_fill(absent, init_index.numel() + 1), sizes
