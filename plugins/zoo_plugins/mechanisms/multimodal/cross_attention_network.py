"""Cross attention of few-shot classification (Hou et al., NeurIPS 2019, arXiv 1910.07677, eq. 1-4).

    R = cos(p_i, q_j)                             every position of a class map, of a query map
    w = W2 relu(BN(W1 mean_i R))                  the kernel of one class position set, (HW,)
    a = softmax_i(mean_j(w_j R_ij) / t)           for the class map; for the query map with R^T
    p' = p (1 + a),   q' = q (1 + a')

p: (B, N1, C, H, W), class features; q: (B, N2, C, H, W), query features; p', q': (B, N2, N1, C, H,
W), every query with every class. W1: HW -> HW/6, W2 back: the module is tied to one number of
positions. The same W serve both directions. Note that the mean that makes the kernel runs over the
positions that are then attended to. R is not formed: both its means are products with it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, Size, refuse
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import as_pair

NAME = "cross_attention_network"


class CrossAttentionNetwork(nn.Module):
    """(class features, query features) -> both, attended to, for every pair.

    Args:
        channels: C, which the maps are checked for if it is given; nothing else depends on it.
        feat_size: (H, W), or one number for both; 6 x 6.
        reduced_channels: the width of the meta learner's hidden layer, by default HW / 6.
        temperature: t.
        residual: the factor is 1 + a, else a.
        num_class, num_query: N1 and N2, which the maps are checked for if they are given.
    """

    def __init__(
        self,
        channels: PositiveInt | None = None,
        *,
        feat_size: Size = 6,
        reduced_channels: PositiveInt | None = None,
        temperature: PositiveFloat = 0.025,
        residual: bool = True,
        num_class: PositiveInt | None = None,
        num_query: PositiveInt | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.channels, self.num_class, self.num_query = channels, num_class, num_query
        self.temperature, self.residual = temperature, residual
        self.positions = math.prod(as_pair(feat_size))
        hidden = max(1, self.positions // 6) if reduced_channels is None else reduced_channels
        dd: Any = {"device": device, "dtype": dtype}
        self.fc1 = nn.Linear(self.positions, hidden, **dd)
        self.norm = nn.BatchNorm1d(hidden, **dd)
        self.fc2 = nn.Linear(hidden, self.positions, **dd)

    def forward(self, class_features: Tensor, query_features: Tensor) -> tuple[Tensor, Tensor]:
        self._check(class_features, query_features)
        size = class_features.shape[3:]
        classes, queries = class_features.flatten(3), query_features.flatten(3)
        unit_class, unit_query = F.normalize(classes, dim=2), F.normalize(queries, dim=2)
        of_class = self._factor(unit_class, unit_query).transpose(1, 2)
        of_query = self._factor(unit_query, unit_class)
        classes = classes.unsqueeze(1) * of_class.unsqueeze(3)
        queries = queries.unsqueeze(2) * of_query.unsqueeze(3)
        return classes.unflatten(4, size), queries.unflatten(4, size)

    def _factor(self, own: Tensor, other: Tensor) -> Tensor:
        """What the positions of `own` are multiplied by for each of `other`, (B, own, other, HW).

        Both are (B, maps, C, HW), of unit length over C.
        """
        pooled = torch.einsum("boc,btcj->botj", own.mean(3), other)
        kernel = self.fc2(F.relu(self._normalise(self.fc1(pooled))))
        weighted = torch.einsum("btcj,botj->botc", other, kernel) / self.positions
        logits = torch.einsum("boci,botc->boti", own, weighted)
        attention = torch.softmax(logits / self.temperature, 3)
        return attention + 1 if self.residual else attention

    def _normalise(self, x: Tensor) -> Tensor:
        return self.norm(x.flatten(0, 2)).view_as(x)

    def _check(self, class_features: Tensor, query_features: Tensor) -> None:
        channels = self.channels or "C"
        shape = ("B", self.num_class or "N1", channels, "H", "W")
        check_shape(NAME, "class_features", class_features, shape)
        batch, _, channels, height, width = class_features.shape
        shape = (batch, self.num_query or "N2", channels, height, width)
        check_shape(NAME, "query_features", query_features, shape)
        if height * width != self.positions:
            what = f"the maps are {height} x {width}, not of {self.positions} positions"
            refuse(NAME, what, f"feat_size=({height}, {width})")


def example(channels: int, batch: int, generator: torch.Generator) -> tuple[dict[str, Any], Any]:
    """Two classes and three queries, as 3 x 4 maps."""
    maps = [torch.randn(batch, n, channels, 3, 4, generator=generator) for n in (2, 3)]
    return {"feat_size": (3, 4)}, tuple(maps)
