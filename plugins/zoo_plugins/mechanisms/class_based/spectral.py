"""Spectral clustering of the filters of a layer: which of them look for the same part.

    S = cosine similarities of the filters,  W = S + S^T,  L = diag(sum W) - W
    E = eigenvectors 2 .. k+1 of L (ascending), each row of length one,   clusters = k-means of E

As in the code of the lab's next system (OPAM, TIP 2018): L is not normalised, W keeps its diagonal,
and the first eigenvector is left out, though k follow. Everything is in float64.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Spectrum(NamedTuple):
    """similarity and laplacian (C, C), eigenvalues (C,) ascending, embedding (C, k)."""

    similarity: Tensor
    laplacian: Tensor
    eigenvalues: Tensor
    embedding: Tensor


def spectrum(filters: Tensor, parts: int) -> Spectrum:
    """Filters (C, ...) -> how alike they are, and where each is among k parts."""
    rows = filters.flatten(1).double()
    rows = rows / _length(rows)
    similarity = rows @ rows.T
    weights = similarity + similarity.T
    laplacian = weights.sum(1).diag() - weights
    eigenvalues, vectors = torch.linalg.eigh(laplacian)
    embedding = vectors[:, 1 : parts + 1]
    return Spectrum(similarity, laplacian, eigenvalues, embedding / _length(embedding))


def cluster_filters(filters: Tensor, parts: int, *, seed: int = 0, restarts: int = 10) -> Tensor:
    """The part of each filter, int64 (C,): k-means, the best of `restarts` starts from `seed`."""
    points = spectrum(filters, parts).embedding
    generator = torch.Generator().manual_seed(seed)
    runs = [kmeans(points.cpu(), parts, generator) for _ in range(restarts)]
    return min(runs, key=lambda run: run[1])[0].to(filters.device)


def kmeans(
    points: Tensor, count: int, generator: torch.Generator, steps: int = 100
) -> tuple[Tensor, float]:
    """Lloyd's algorithm from k-means++ centres: the clusters, and the sum of squared distances."""
    centres = _spread(points, count, generator)
    nearest = torch.cdist(points, centres).argmin(1)
    for _ in range(steps):
        member = torch.nn.functional.one_hot(nearest, count).to(points)
        sizes = member.sum(0).unsqueeze(1)
        centres = torch.where(sizes > 0, member.T @ points / sizes.clamp_min(1), centres)
        before, nearest = nearest, torch.cdist(points, centres).argmin(1)
        if torch.equal(before, nearest):
            break
    return nearest, float((points - centres[nearest]).square().sum())


def _spread(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """k-means++: each next centre is drawn by its squared distance from those before."""
    first = torch.randint(len(points), (1,), generator=generator)
    centres = points[first]
    while len(centres) < count:
        far = torch.cdist(points, centres).min(1)[0].square()
        far = far + (far.sum() == 0)  # all points coincide
        centres = torch.cat((centres, points[torch.multinomial(far, 1, generator=generator)]))
    return centres


def _length(rows: Tensor) -> Tensor:
    length = rows.norm(dim=1, keepdim=True)
    return length.masked_fill(length == 0, 1)
