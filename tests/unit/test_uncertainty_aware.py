"""Uncertainty-aware attention: its mean, its spread, and what padding may not change."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.errors import UsageError


def build(**options: Any) -> Any:
    torch.manual_seed(0)
    return zoo.create_attention("uncertainty_aware", 6, dtype=torch.float64, **options)


def steps(count: int = 5, batch: int = 2, width: int = 6) -> Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randn(batch, count, width, generator=random, dtype=torch.float64)


@pytest.mark.parametrize("sigma", ["softplus", "exp"])
def test_without_spread_training_is_eval(sigma: str) -> None:
    module = build(sigma=sigma)
    for layer in (module.alpha.sigma, module.beta.sigma):
        torch.nn.init.constant_(layer.bias, -60.0)
    for ours, expected in zip(module.train()(steps()), module.eval()(steps()), strict=True):
        torch.testing.assert_close(ours, expected)


def test_logits_have_the_mean_and_spread_that_are_stated() -> None:
    module, x = build(), steps(3, 1)
    many = x.expand(20_000, -1, -1)
    found = module.train().attend(many, generator=torch.Generator().manual_seed(2))
    before = torch.atanh(found.beta.clamp(-1 + 1e-15, 1 - 1e-15))
    torch.testing.assert_close(before.mean(0), found.beta_mean[0], rtol=0, atol=0.05)
    torch.testing.assert_close(before.std(0), found.beta_sigma[0], rtol=0.05, atol=0.0)
    sums = found.alpha.sum(1)
    torch.testing.assert_close(sums, torch.ones_like(sums))


def test_the_context_is_both_attentions_of_the_embeddings() -> None:
    module, x = build(state_dim=4, beta_dim=1).eval(), steps()
    states = {"alpha_states": steps(width=4), "beta_states": -steps(width=4)}
    found = module.attend(x, **states)
    assert found.beta.shape == (2, 5, 1)
    torch.testing.assert_close(found.context, (found.alpha * found.beta * x).sum(1))
    torch.testing.assert_close(module(x, **states)[0][:, 0], found.context)
    with pytest.raises(UsageError, match="alpha_states"):
        module(x)


def test_a_step_that_is_absent_has_no_weight() -> None:
    module, x = build().eval(), steps()
    mask = torch.arange(5) < torch.tensor([[3], [0]])
    found = module.attend(x, mask)
    torch.testing.assert_close(found.context[:1], module.attend(x[:1, :3]).context)
    assert not found.alpha[1].any() and not found.context[1].any()
