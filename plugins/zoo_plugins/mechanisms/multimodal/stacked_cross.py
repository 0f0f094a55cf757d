"""Stacked cross attention (Lee et al., ECCV 2018, arXiv 1803.08024, section 3.1; SCAN).

    s_ij = v_i . e_j                                  every region with every word
    a_ij = softmax_i(lambda1 norm_j(s_ij))            t2i: a word attends to the regions (eq. 6-8)
    r_j = cos(e_j, sum_i a_ij v_i)                    the relevance of a word
    score = pool_j r_j                                of an image and a caption (eq. 9-11)

v: (M, K, D), regions of M images; e: (N, L, D), words of N captions; score: (M, N). With `i2t` the
roles change: a region attends to the words, and relevances are pooled over regions. No parameters.
norm: s <- s_+, divided by its norm over the attending positions j (`clipped_l2norm`); where the
paper has max(s, 0), the authors' code has a leaky ReLU of slope 0.1 (leaky_slope=0 is the paper's).
pool: `Mean`, `Sum`, `Max`, or `LogSumExp`, log(sum exp(lambda2 r)) / lambda2. The code's two l1
forms call a function that does not exist; here they divide by the sum of magnitudes.

The attended vectors c = sum_i a_ij v_i are not formed: e . c is a sum of a s, and |c|^2 of a a'
with the regions' inner products: M N pairs hold M N L K numbers rather than M N L D.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt
from zoo.sdk.attend import check_mask, mask_of_lengths
from zoo.sdk.inputs import check_shape
from zoo.sdk.precision import full_range, widened

NAME = "stacked_cross"
DIRECTIONS = {"t2i": (9.0, 6.0), "i2t": (4.0, 5.0)}  # lambda_softmax, lambda_lse on Flickr30K
Norm = Literal[
    "clipped_l2norm", "l2norm", "clipped_l1norm", "l1norm", "clipped", "softmax", "no_norm"
]


class StackedCross(nn.Module):
    """(regions, words, mask) -> the score of every image with every caption.

    Args:
        dim: D, which the inputs are checked for if it is given.
        direction: `t2i` or `i2t`.
        pooling: of the relevances.
        feature_norm: norm in the equation; `softmax` is over the attending positions.
        lambda_softmax: lambda1, by default 9 for t2i and 4 for i2t.
        lambda_lse: lambda2, by default 6 for t2i and 5 for i2t.
        leaky_slope: of the clipping.
        eps: keeps the divisions from dividing by zero.
    """

    def __init__(
        self,
        dim: PositiveInt | None = None,
        *,
        direction: Literal["t2i", "i2t"] = "t2i",
        pooling: Literal["LogSumExp", "Mean", "Max", "Sum"] = "LogSumExp",
        feature_norm: Norm = "clipped_l2norm",
        lambda_softmax: PositiveFloat | None = None,
        lambda_lse: PositiveFloat | None = None,
        leaky_slope: float = 0.1,
        eps: PositiveFloat = 1e-8,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.dim, self.direction, self.pooling = dim, direction, pooling
        self.feature_norm, self.leaky_slope, self.eps = feature_norm, leaky_slope, eps
        sharp, soft = DIRECTIONS[direction]
        self.lambda_softmax = sharp if lambda_softmax is None else lambda_softmax
        self.lambda_lse = soft if lambda_lse is None else lambda_lse

    def forward(self, regions: Tensor, words: Tensor, mask: Tensor | None = None) -> Tensor:
        """mask: (N, L), True where a word is present; a caption without words scores 0."""
        with full_range(regions):
            scores = self._scores(widened(regions), widened(words), mask)
        return scores.to(regions.dtype)

    def _scores(self, regions: Tensor, words: Tensor, mask: Tensor | None) -> Tensor:
        check_shape(NAME, "regions", regions, ("M", "K", self.dim or "D"))
        check_shape(NAME, "words", words, ("N", "L", regions.shape[2]))
        check_mask(NAME, mask, words)
        if mask is None:
            mask = torch.ones(words.shape[:2], dtype=torch.bool, device=words.device)
        similarity = torch.einsum("mkd,nld->mnkl", regions, words)
        if self.direction == "t2i":
            relevance = self._relevance(similarity, words[None], regions[:, None], query=mask)
            return self._pool(relevance, mask.expand_as(relevance))
        turned = similarity.transpose(2, 3)
        relevance = self._relevance(turned, regions[:, None], words[None], source=mask)
        present = mask.any(1)[:, None].expand_as(relevance)
        return self._pool(relevance, present)

    def attention(
        self, similarity: Tensor, query: Tensor | None = None, source: Tensor | None = None
    ) -> Tensor:
        """(..., sources, queries) -> the weights of the sources; masks (N, length), or None."""
        x = similarity if query is None else similarity.masked_fill(~query[:, None], 0.0)
        if self.feature_norm.startswith("clipped"):
            x = F.leaky_relu(x, self.leaky_slope)
        if self.feature_norm.endswith("l2norm"):
            x = x / (safe_sqrt(x.square().sum(-1, keepdim=True)) + self.eps)
        elif self.feature_norm.endswith("l1norm"):
            x = x / (x.abs().sum(-1, keepdim=True) + self.eps)
        elif self.feature_norm == "softmax":
            x = torch.softmax(_hide(x, None if query is None else query[:, None]), -1)
        hidden = None if source is None else source[:, :, None]
        return torch.softmax(_hide(x * self.lambda_softmax, hidden), -2)

    def _relevance(
        self, similarity: Tensor, queries: Tensor, sources: Tensor, **masks: Any
    ) -> Tensor:
        """cos(query, its attended vector), (M, N, queries)."""
        weights = self.attention(similarity, **masks)
        product = (weights * similarity).sum(2)
        gram = sources @ sources.transpose(2, 3)
        length = safe_sqrt((weights * (gram @ weights)).sum(2))
        return product / (queries.norm(dim=3) * length).clamp(min=self.eps)

    def _pool(self, relevance: Tensor, mask: Tensor) -> Tensor:
        """(M, N, positions) -> (M, N), over the positions of the mask."""
        some = mask.any(2)
        if self.pooling == "Max":
            return _hide(relevance, mask).max(2)[0].masked_fill(~some, 0.0)
        if self.pooling == "LogSumExp":
            hidden = _hide(self.lambda_lse * relevance, mask)
            return hidden.logsumexp(2).masked_fill(~some, 0.0) / self.lambda_lse
        total = relevance.masked_fill(~mask, 0.0).sum(2)
        return total / mask.sum(2).clamp(min=1) if self.pooling == "Mean" else total

    def extra_repr(self) -> str:
        return f"{self.direction}, {self.pooling}, {self.feature_norm}"


def safe_sqrt(x: Tensor) -> Tensor:
    """The square root, whose gradient at 0 (and below, by rounding) is 0."""
    tiny = torch.finfo(x.dtype).tiny
    return x.clamp(min=tiny).sqrt().masked_fill(x <= tiny, 0.0)


def _hide(x: Tensor, mask: Tensor | None) -> Tensor:
    """Where the mask is False, a number that no softmax or maximum sees; finite, lest NaN come."""
    return x if mask is None else x.masked_fill(~mask, torch.finfo(x.dtype).min / 2)


def reference_call(
    module: StackedCross, regions: Tensor, words: Tensor, word_lengths: Tensor
) -> dict[str, Tensor]:
    """What a reference case records: the scores, and what the first caption attends to."""
    mask = mask_of_lengths(word_lengths, words.shape[1])
    caption = words[:1, : int(word_lengths[0])].expand(len(regions), -1, -1)
    sources, queries = (regions, caption) if module.direction == "t2i" else (caption, regions)
    weights = module.attention(sources @ queries.transpose(1, 2))
    return {
        "scores": module(regions, words, mask),
        "context_caption0": weights.transpose(1, 2) @ sources,
        "attention_caption0": weights,
    }


def example(channels: int, batch: int, generator: torch.Generator) -> tuple[dict[str, Any], Any]:
    """Regions and words; every image meets every caption."""
    lengths = (7, 5)
    return {}, tuple(torch.randn(batch, n, channels, generator=generator) for n in lengths)


example.batch_independent = False  # pyright: ignore[reportFunctionMemberAccess]
