"""Random draws from explicit noise, and divergences in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

EULER_GAMMA = 0.5772156649015329


def uniform(size: Sequence[int], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Uniform numbers of [0, 1), in the dtype and on the device of `like`."""
    return torch.rand(*size, generator=generator, device=like.device, dtype=like.dtype)


def normal(size: Sequence[int], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal numbers, in the dtype and on the device of `like`."""
    return torch.randn(*size, generator=generator, device=like.device, dtype=like.dtype)


def log_weibull(noise: Tensor, k: Tensor | float, eps: float) -> Tensor:
    """The logarithm of a draw from Weibull(k, 1), by inverting uniform noise of [0, 1)."""
    return torch.log(-torch.log(1 - noise + eps) + eps) / k


def gumbel(noise: Tensor, eps: float = 1e-20) -> Tensor:
    """A draw from the standard Gumbel distribution, by inverting uniform noise of [0, 1)."""
    return -torch.log(-torch.log(noise + eps) + eps)


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """The mean over all `values`, or over the part that `mask` (which is broadcast) leaves."""
    if mask is None:
        return values.mean()
    present = mask.expand_as(values)
    return values.masked_fill(~present, 0).sum() / present.sum().clamp(min=1)


def weibull_gamma_kl(
    k: Tensor, log_scale: Tensor, alpha: Tensor, beta: float, eps: float = 0.0
) -> Tensor:
    """KL(Weibull(k, scale) || Gamma(alpha, rate beta)), elementwise, in closed form.

    gamma alpha / k - alpha log scale + log k + beta scale Gamma(1 + 1/k) - gamma - 1
    - alpha log beta + log Gamma(alpha), with gamma Euler's constant.
    """
    mean = torch.exp(log_scale + torch.lgamma(1 + 1 / k))
    posterior = EULER_GAMMA * alpha / k - alpha * log_scale + torch.log(k) - EULER_GAMMA - 1
    return posterior + beta * mean - alpha * math.log(beta) + torch.lgamma(alpha + eps)


def normal_kl(mean: Tensor, sigma: Any, prior_mean: Tensor | float, prior_sigma: Any) -> Tensor:
    """KL(N(mean, sigma^2) || N(prior_mean, prior_sigma^2)), elementwise. The sigmas are tensors."""
    spread = (sigma**2 + (mean - prior_mean) ** 2) / (2 * prior_sigma**2)
    return torch.log(prior_sigma / sigma) + spread - 0.5


def categorical_kl(log_q: Tensor, log_p: Tensor, dim: int = -1) -> Tensor:
    """KL(q || p) over `dim`. Where q is 0 (log q is -inf), the term is 0."""
    gone = torch.isneginf(log_q)
    log_ratio = log_q.masked_fill(gone, 0) - log_p.masked_fill(gone, 0)
    return (log_q.exp() * log_ratio).sum(dim)
