"""REINFORCE (Williams 1992) for units that choose at random."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def bernoulli_log_prob(logits: Tensor, chosen: Tensor) -> Tensor:
    """log p of each choice, 1 or 0, where 1 has probability sigmoid(logit)."""
    return chosen * F.logsigmoid(logits) + (1 - chosen) * F.logsigmoid(-logits)


def policy_loss(log_prob: Tensor, reward: Tensor, baseline: Tensor | None = None) -> Tensor:
    """A loss whose descent is the ascent of the expected reward.

    -mean_b sum_t log p(choice_bt) (reward - baseline); for a Bernoulli unit its gradient at the
    logit is -(choice - p)(reward - baseline).

    Args:
        log_prob: (B, T) of the choices taken.
        reward: (B,), or (B, T); no gradient flows to it.
        baseline: of the reward's shape or (B, T), less noise if near the expected reward; likewise.
    """
    reward = reward.unsqueeze(1) if reward.ndim == 1 else reward
    if baseline is not None:
        reward = reward - (baseline.unsqueeze(1) if baseline.ndim == 1 else baseline)
    return -(log_prob * reward.detach()).sum(1).mean()


def choose(
    prob: Tensor,
    noise: Tensor | None,
    generator: torch.Generator | None,
    training: bool,
    *,
    inclusive: bool = False,
) -> Tensor:
    """1 where uniform noise is below `prob` (or equal, if `inclusive`), else 0; no gradient.

    Noise that is not given is drawn in training; in eval the likelier choice is taken.
    """
    if noise is None and training:
        noise = torch.rand(prob.shape, generator=generator, device=prob.device, dtype=prob.dtype)
    if noise is None:
        return (prob >= 0.5).to(prob.dtype)
    below = noise <= prob if inclusive else noise < prob
    return below.to(prob.dtype)
