"""Draws and divergences that several mechanisms share, against `torch.distributions`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Gamma,
    Gumbel,
    LogNormal,
    Normal,
    Weibull,
    kl_divergence,
)

from zoo.sdk.attend import masked_softmax
from zoo.sdk.chance import (
    categorical_kl,
    gumbel,
    log_weibull,
    masked_mean,
    normal,
    normal_kl,
    uniform,
    weibull_gamma_kl,
)


def numbers(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def grid(count: int) -> Tensor:
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


@pytest.mark.parametrize(
    ("draw", "cdf"), [(uniform, lambda x: x), (normal, Normal(0.0, 1.0, validate_args=False).cdf)]
)
def test_noise_is_of_its_distribution_and_follows_the_generator(draw: Any, cdf: Any) -> None:
    """No quantile of 20,000 draws is off by more than 0.02, twice what Kolmogorov's test allows."""
    like = torch.zeros((), dtype=torch.float64)
    draws = draw((100, 200), like, torch.Generator().manual_seed(0))
    assert draws.dtype == like.dtype and draws.shape == (100, 200)
    assert (cdf(draws.flatten().sort().values) - grid(20_000)).abs().max() < 0.02
    assert torch.equal(draws, draw((100, 200), like, torch.Generator().manual_seed(0)))
    assert draw((2,), torch.zeros((), device="meta"), None).device.type == "meta"


@pytest.mark.parametrize("k", [0.3, 1.0, 10.0])
def test_a_weibull_draw_inverts_its_distribution(k: float) -> None:
    draws = log_weibull(grid(99), k, 1e-20).exp()
    torch.testing.assert_close(Weibull(torch.ones(()).double(), k).cdf(draws), grid(99))


def test_a_gumbel_draw_inverts_its_distribution() -> None:
    draws = gumbel(grid(99))
    torch.testing.assert_close(Gumbel(torch.zeros(()).double(), 1.0).cdf(draws), grid(99))


def test_noise_at_either_end_of_its_range_gives_a_number() -> None:
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    for draws in (gumbel(ends), log_weibull(ends, 2.0, 1e-20)):
        assert draws.isfinite().all() and draws[0] < draws[1]


@pytest.mark.parametrize("k", [0.7, 1.0, 6.0])
@pytest.mark.parametrize(("scale", "alpha", "beta"), [(1.0, 1.0, 1.0), (0.2, 0.5, 2.0)])
def test_the_divergence_of_a_weibull_from_a_gamma(
    k: float, scale: float, alpha: float, beta: float
) -> None:
    """E[log q - log p] over the quantiles of q."""
    values = [torch.tensor(v, dtype=torch.float64) for v in (k, scale, alpha)]
    q, p = Weibull(values[1], values[0]), Gamma(values[2], torch.tensor(beta).double())
    draws = q.icdf(grid(200_000))
    expected = (q.log_prob(draws) - p.log_prob(draws)).mean()
    found = weibull_gamma_kl(values[0], values[1].log(), values[2], beta)
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3)
    assert found > -1e-12


def test_an_exponential_is_both_a_weibull_and_a_gamma() -> None:
    one, scale = torch.ones((), dtype=torch.float64), torch.tensor(0.4, dtype=torch.float64)
    assert weibull_gamma_kl(one, scale.log(), one, 1 / 0.4).abs() < 1e-12


def test_what_is_added_under_the_gamma_function() -> None:
    k, log_scale, alpha = torch.tensor([1.3, -0.2, 0.5], dtype=torch.float64)
    added, plain = (weibull_gamma_kl(k, log_scale, alpha, 1.0, eps) for eps in (0.25, 0.0))
    torch.testing.assert_close(added - plain, torch.lgamma(alpha + 0.25) - torch.lgamma(alpha))


def test_the_divergence_of_normals_is_that_of_lognormals() -> None:
    mean, prior = numbers(2, 20)
    sigma, prior_sigma = numbers(2, 20, seed=1).exp()
    expected = kl_divergence(LogNormal(mean, sigma), LogNormal(prior, prior_sigma))
    torch.testing.assert_close(normal_kl(mean, sigma, prior, prior_sigma), expected)


def test_the_divergence_of_categoricals() -> None:
    log_q, log_p = numbers(2, 5, 7).log_softmax(-1)
    expected = kl_divergence(Categorical(logits=log_q), Categorical(logits=log_p))
    torch.testing.assert_close(categorical_kl(log_q, log_p), expected)
    padded = [torch.nn.functional.pad(log, (0, 2), value=-torch.inf) for log in (log_q, log_p)]
    torch.testing.assert_close(categorical_kl(*padded), expected)


def test_softmax_and_mean_of_what_is_present() -> None:
    scores = numbers(3, 6)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2, [False] * 6])
    found = masked_softmax(scores, mask)
    torch.testing.assert_close(found[0], scores[0].softmax(0))
    torch.testing.assert_close(found[1, :4], scores[1, :4].softmax(0))
    assert not found[1, 4:].any() and not found[2].any()
    kept = torch.cat([scores[0], scores[1, :4]])
    torch.testing.assert_close(masked_mean(scores, mask), kept.mean())
    torch.testing.assert_close(masked_softmax(scores[None]), scores[None].softmax(-1))
    assert masked_mean(scores, scores == scores[1, 2]) == scores[1, 2]
    assert masked_mean(scores, torch.zeros_like(mask)) == 0
