"""Clustering of queries by locality-sensitive hashes and k-means in Hamming space.

The steps of Vyas et al. (NeurIPS 2020, arXiv 2007.04825, section 3.2.1), for all heads at once.
Nothing here is differentiated.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.sdk.precision import at_least_float32


@torch.no_grad()
def hash_codes(x: Tensor, planes: Tensor, bias: bool) -> Tensor:
    """Signs of x (..., N, E) at planes (bits, E + 1): 1 where x . a > a_bias, else -1."""
    normals, offsets = planes[:, :-1].to(x.dtype), planes[:, -1].to(x.dtype)
    projected = x @ normals.T
    return (projected > (offsets if bias else 0.0)).to(x.dtype) * 2 - 1


@torch.no_grad()
def cluster(codes: Tensor, present: Tensor, start: Tensor, iterations: int) -> Tensor:
    """Lloyd's iterations on codes of +-1; returns the cluster of each, (G, N), C where absent.

    An assignment is to the nearest centroid, the first of equals; a centroid's bit is 1 where most
    of its members have 1. A cluster without members keeps its centroid (the authors draw one).

    Args:
        codes: (G, N, bits), G groups that are clustered apart.
        present: (G, N); absent ones belong to no cluster.
        start: (G, C) positions whose codes are the first centroids.
        iterations: of assignments; there is one update less.
    """
    groups, _, bits = codes.shape
    count = start.shape[1]
    centroids = codes.gather(1, start[:, :, None].expand(-1, -1, bits))
    members = _nearest(codes, centroids, present)
    for _ in range(iterations - 1):
        votes = sums(at_least_float32(codes), members, count)  # bfloat16 counts to 256
        sizes = counts(members, count)
        majority = torch.where(votes > 0, 1.0, -1.0).to(codes.dtype)
        centroids = torch.where(sizes[:, :, None] > 0, majority, centroids)
        members = _nearest(codes, centroids, present)
    return members


def _nearest(codes: Tensor, centroids: Tensor, present: Tensor) -> Tensor:
    agreement = codes @ centroids.transpose(1, 2)  # bits - 2 Hamming distance
    return agreement.argmax(2).masked_fill(~present, centroids.shape[1])


def sums(x: Tensor, members: Tensor, count: int) -> Tensor:
    """Sum of x (G, N, E) over the members of each cluster, (G, C, E)."""
    groups, _, width = x.shape
    rows = members + (count + 1) * torch.arange(groups, device=x.device)[:, None]
    total = x.new_zeros(groups * (count + 1), width)
    total = total.index_add(0, rows.flatten(), x.flatten(0, 1))
    return total.view(groups, count + 1, width)[:, :count]


def counts(members: Tensor, count: int) -> Tensor:
    """Members of each cluster, (G, C)."""
    found = torch.zeros(members.shape[0], count + 1, dtype=torch.long, device=members.device)
    return found.scatter_add(1, members, torch.ones_like(members))[:, :count]


def spread_positions(present: Tensor, draws: Tensor) -> Tensor:
    """A position in each of C equal parts of what is present in (G, N), by C draws in [0, 1).

    It depends on how many are present and not on N, so that padding moves nothing.
    """
    total = present.sum(1, keepdim=True)
    steps = torch.arange(len(draws), device=present.device)
    places = steps + at_least_float32(draws)
    ranks = (places * total / len(draws)).long().clamp(max=(total - 1).clamp(min=0))
    order = present.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
    return order.gather(1, ranks)
