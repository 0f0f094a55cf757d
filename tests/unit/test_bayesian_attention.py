"""Bayesian attention: what it is without chance, and its divergence against a Monte-Carlo one."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Gamma, LogNormal, Weibull, kl_divergence

import zoo
from zoo.errors import OptionError, UsageError


def build(**options: Any) -> Any:
    torch.manual_seed(0)
    return zoo.create_attention(
        "bayesian_attention", 24, num_heads=3, dtype=torch.float64, **options
    )


def tokens(count: int = 7, batch: int = 2) -> Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randn(batch, count, 24, generator=random, dtype=torch.float64)


@torch.no_grad()
def softmax_attention(module: Any, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """torch's own multi-head attention with the module's weights, and the block around it."""
    theirs = nn.MultiheadAttention(24, 3, batch_first=True, dtype=torch.float64)
    parts = (module.query, module.key, module.value)
    theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
    theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    theirs.out_proj.load_state_dict(module.dense.state_dict())
    padding = None if mask is None else ~mask
    y = theirs(x, x, x, key_padding_mask=padding, need_weights=False)[0]
    return module.LayerNorm(x + y) if module.LayerNorm is not None else y


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("distribution", ["weibull", "lognormal"])
def test_in_eval_it_is_softmax_attention(distribution: str, residual: bool) -> None:
    module, x = build(distribution=distribution, residual=residual).eval(), tokens()
    torch.testing.assert_close(module(x), softmax_attention(module, x))
    mask = torch.arange(7) < torch.tensor([[7], [4]])
    found, expected = module(x, mask), softmax_attention(module, x, mask)
    torch.testing.assert_close(found[mask], expected[mask])
    torch.testing.assert_close(build(sampling=False, residual=residual)(x), module(x))


@pytest.mark.parametrize(
    "options", [{"k": 1e6}, {"distribution": "lognormal", "sigma_posterior": 1e-6}]
)
def test_with_hardly_any_noise_it_is_softmax_attention(options: dict[str, Any]) -> None:
    module, x = build(**options).train(), tokens()
    torch.testing.assert_close(module(x), softmax_attention(module, x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("distribution", ["weibull", "lognormal"])
def test_draws_are_weights(distribution: str) -> None:
    module, x = build(distribution=distribution), tokens()
    found = module.attend(x, generator=torch.Generator().manual_seed(3))
    assert (found.attention >= 0).all()
    sums = found.attention.sum(3)
    torch.testing.assert_close(sums, torch.ones_like(sums))
    torch.testing.assert_close(found.prior.sum(3), torch.ones_like(found.prior.sum(3)))
    other = module.attend(x, generator=torch.Generator().manual_seed(4))
    assert not torch.equal(found.attention, other.attention)


@pytest.mark.parametrize("prior", ["contextual", "fixed", "parameter"])
def test_the_weibulls_divergence_is_a_mean_over_all_weights(prior: str) -> None:
    module, x = build(prior=prior, k=3.0, beta=1.5, alpha=0.8, variant="paper"), tokens(3)
    found = module.attend(x, sample=False)
    scale = found.attention / math.gamma(1 + 1 / 3)
    alpha = torch.full((), 0.8) if found.prior is None else 1.5 * found.prior
    p = Gamma(alpha.double().expand_as(scale), torch.tensor(1.5).double())
    q = Weibull(scale, torch.tensor(3.0).double())
    quantiles = ((torch.arange(20_000) + 0.5) / 20_000).double().view(-1, 1, 1, 1, 1)
    draws = q.icdf(quantiles)
    expected = (q.log_prob(draws) - p.log_prob(draws)).mean()
    torch.testing.assert_close(found.kl, expected, rtol=1e-3, atol=1e-3)
    assert found.kl > 0
    official = build(prior=prior, k=3.0, beta=1.5, alpha=0.8).attend(x, sample=False).kl
    constant = math.log(3.0) - 0.5772156649015329 - 1
    torch.testing.assert_close(found.kl - official, torch.full_like(official, constant))


def test_the_lognormals_divergence() -> None:
    module, x = build(distribution="lognormal", sigma_posterior=0.3, sigma_prior=0.7), tokens(4)
    found = module.attend(x, sample=False)
    mean, sigma = found.attention.log() - 0.3**2 / 2, torch.tensor(0.3).double()
    prior = found.prior.log().expand_as(mean)
    q, p = LogNormal(mean, sigma), LogNormal(prior, torch.tensor(0.7).double())
    torch.testing.assert_close(found.kl, kl_divergence(q, p).mean(), rtol=1e-6, atol=1e-6)
    assert found.kl > 0


@pytest.mark.parametrize("activation", ["relu", "lrelu", "tanh", "sigmoid", "none"])
def test_the_contextual_prior_learns_from_the_divergence_only(activation: str) -> None:
    module, x = build(prior_activation=activation), tokens()
    y = module.train()(x)
    found = torch.autograd.grad(y.sum(), module.prior_net.parameters(), allow_unused=True)
    assert all(g is None or not g.any() for g in found)
    module.kl.backward()
    assert module.prior_net.se_linear1.weight.grad.abs().max() > 0
    assert copy.deepcopy(module).kl is None


def test_padding_is_no_part_of_the_divergence() -> None:
    module, x = build(), tokens()
    mask = (torch.arange(7) < 5).expand(2, 7)
    short = module.attend(x[:, :5], sample=False).kl
    torch.testing.assert_close(module.attend(x, mask, sample=False).kl, short)


def test_what_cannot_be_is_refused() -> None:
    for options in ({"distribution": "gamma"}, {"prior_activation": "none", "prior_hidden": 4}):
        with pytest.raises(OptionError):
            build(**options)
    with pytest.raises(UsageError, match="noise"):
        build()(tokens(), noise=torch.rand(2, 3, 7, 6))
