"""Losses of "Show, attend and tell" (arXiv 1502.03044, sections 4.1 and 4.2.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo_plugins.mechanisms.logical.caption_decoder import Decoded


def word_costs(logits: Tensor, words: Tensor, mask: Tensor | None = None) -> Tensor:
    """-log p(word) of each step, (B, T), zero where the word is masked.

    As in the authors' code 1e-8 is added inside the logarithm.
    """
    probability = logits.softmax(-1).gather(-1, words.unsqueeze(-1)).squeeze(-1)
    costs = -(probability + 1e-8).log()
    return costs if mask is None else costs * mask.to(costs.dtype)


def doubly_stochastic(attention: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over captions of sum_n (1 - sum_t alpha_tn)^2 (equation 14).

    It asks every position to be looked at as much as any other in the course of a caption.

    Args:
        attention: (B, T, N). mask: (B, T) of the words.
    """
    if mask is not None:
        attention = attention * mask.unsqueeze(-1).to(attention.dtype)
    return (1 - attention.sum(1)).square().sum(-1).mean()


def negative_entropy(attention: Tensor) -> Tensor:
    """Mean of alpha log alpha over all weights; its multiple of 0.002 is in the authors' cost."""
    return torch.xlogy(attention, attention.clamp_min(torch.finfo(attention.dtype).tiny)).mean()


def reinforced(
    decoded: Decoded,
    words: Tensor,
    baseline: Tensor,
    mask: Tensor | None = None,
    *,
    reward_weight: float = 1.0,
    entropy_weight: float = 0.002,
) -> tuple[Tensor, Tensor]:
    """The loss of hard attention, whose gradient is the paper's estimate (section 4.1).

        L = mean_b sum_t -log p(y_t)
            + lambda_r mean_b (cost_b - baseline) sum_t log alpha_t(s_t)
            + lambda_e mean alpha log alpha

    cost_b is the (detached) first term of caption b. Since log alpha of the drawn positions is
    weighted by how much worse than usual the caption was said, its gradient is
    (baseline - cost) * (-s / alpha), as in the authors' code, which also divides it by 10.

    Args:
        decoded: of a decoder with hard attention in training, `decode(..., estimate=False)`.
        baseline: a number, the running mean of the cost.

    Returns:
        The loss, and the baseline for the next batch, 0.9 baseline + 0.1 mean cost.
    """
    assert decoded.log_prob is not None
    costs = word_costs(decoded.logits, words, mask).sum(1)
    log_prob = decoded.log_prob if mask is None else decoded.log_prob * mask
    advantage = costs.detach() - baseline
    loss = costs.mean() + reward_weight * (advantage * log_prob.sum(1)).mean()
    loss = loss + entropy_weight * negative_entropy(decoded.attention)
    return loss, 0.9 * baseline + 0.1 * costs.detach().mean()


def soft_loss(
    decoded: Decoded, words: Tensor, mask: Tensor | None = None, *, doubly_weight: float = 1.0
) -> Tensor:
    """The loss of soft attention: mean_b sum_t -log p(y_t) + lambda doubly_stochastic."""
    logits = decoded.logits.flatten(0, 1)
    costs = F.cross_entropy(logits, words.flatten(), reduction="none").view_as(words)
    if mask is not None:
        costs = costs * mask.to(costs.dtype)
    return costs.sum(1).mean() + doubly_weight * doubly_stochastic(decoded.attention, mask)
