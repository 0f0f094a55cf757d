"""Part-level attention of the two-level model (Xiao et al., CVPR 2015, arXiv 1411.6447).

The filters of a middle layer are clustered into k groups, each of which finds a part; of an image's
P candidate patches a part takes the one that excites its filters most:

    score(p, j) = sum_{filters c of cluster j} mean_hw activation_c(patch p)
    y_j = x[argmax_p score(p, j)]                                     a hard choice

The paper's code is not public. The scores and the clustering (`spectral.py`) are those of the same
lab's next system (Object-Part Attention Model, TIP 2018), in MATLAB. The object level and the
whole pipeline are in `two_level_pipeline.py`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveInt, refuse
from zoo.sdk.attend import check_mask
from zoo.sdk.inputs import check_shape
from zoo_plugins.mechanisms.class_based.spectral import cluster_filters, spectrum

NAME = "two_level"


class PartAttention(nn.Module):
    """x (B, P, C) or (B, P, C, h, w), mask (B, P) -> the chosen patches' means (B, k, C).

    Args:
        num_filters: C.
        num_parts: k, less than C.
        filter_dim, num_patches: numbers in a filter, and P; inputs are checked for them if given.

    `fit(filters)` clusters the filters; until then they are dealt out in order, C / k to a part.
    The clusters are part of the state. A masked patch is never chosen; where all are, y is zero.
    """

    cluster: Tensor

    def __init__(
        self,
        num_filters: PositiveInt,
        *,
        num_parts: PositiveInt = 2,
        filter_dim: PositiveInt | None = None,
        num_patches: PositiveInt | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_filters, self.num_parts = num_filters, num_parts
        self.filter_dim, self.num_patches = filter_dim, num_patches
        if num_parts >= num_filters:
            refuse(NAME, f"num_parts={num_parts} leave no filter over of num_filters={num_filters}")
        dealt = torch.arange(num_filters, device=device) * num_parts // num_filters
        self.register_buffer("cluster", dealt)

    @torch.no_grad()
    def fit(self, filters: Tensor, *, seed: int = 0) -> Tensor:
        """Cluster the filters (C, ...) of a layer; returns the part of each, int64 (C,)."""
        self._check_filters(filters)
        self.cluster = cluster_filters(filters, self.num_parts, seed=seed).to(self.cluster.device)
        return self.cluster

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        pooled = self._pool(x)
        check_mask(NAME, mask, pooled)
        chosen = self.select(self.scores(pooled), mask)
        parts = pooled.gather(1, chosen.unsqueeze(-1).expand(-1, -1, self.num_filters))
        return parts if mask is None else parts * mask.any(1)[:, None, None]

    def scores(self, x: Tensor, cluster: Tensor | None = None) -> Tensor:
        """How much each patch excites each part, (B, P, k)."""
        cluster = self.cluster if cluster is None else cluster
        member = F.one_hot(cluster, self.num_parts).to(x.dtype)
        return self._pool(x) @ member

    def select(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """The patch of each part, int64 (B, k)."""
        if mask is not None:
            scores = scores.masked_fill(~mask.unsqueeze(-1), torch.finfo(scores.dtype).min)
        return scores.argmax(1)

    def _pool(self, x: Tensor) -> Tensor:
        x = x.mean((3, 4)) if x.ndim == 5 else x
        check_shape(NAME, "x", x, ("B", self.num_patches or "P", self.num_filters))
        return x

    def _check_filters(self, filters: Tensor) -> None:
        shape = (self.num_filters, self.filter_dim or "D")
        check_shape(NAME, "filters", filters.flatten(1), shape)


def reference_call(
    module: PartAttention, filters: Tensor, activations: Tensor, cluster: Tensor
) -> dict[str, Tensor]:
    """What a reference case records; the clusters are an input of it, since k-means is random."""
    module._check_filters(filters)
    found = spectrum(filters, module.num_parts)
    scores = module.scores(activations, cluster)
    return {
        "filter_similarity": found.similarity,
        "laplacian": found.laplacian,
        "eigenvalues": found.eigenvalues,
        "embedding_gram": found.embedding @ found.embedding.T,
        "part_scores": scores,
        "selected": module.select(scores),
    }
