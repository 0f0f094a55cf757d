"""Reinforced temporal attention: its mean, and a policy gradient that is exact on average."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor
from zoo_plugins.mechanisms.reinforcement.policy import bernoulli_log_prob, policy_loss

import zoo


def build(**options: Any) -> Any:
    torch.manual_seed(0)
    return zoo.create_attention("reinforced_temporal", 4, dtype=torch.float64, **options)


def frames(count: int = 3, batch: int = 2) -> Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randn(batch, count, 4, generator=random, dtype=torch.float64)


def test_the_policy_gradient_is_that_of_the_expected_reward() -> None:
    """Over all choices of three units, each by its probability, with any reward and baseline."""
    logits = torch.tensor([0.3, -1.0, 0.7], dtype=torch.float64, requires_grad=True)
    choices = torch.tensor(list(product([0.0, 1.0], repeat=3)), dtype=torch.float64)
    reward = torch.randn(8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    log_prob = bernoulli_log_prob(logits, choices)
    chance = log_prob.sum(1).exp()
    torch.testing.assert_close(chance.sum(), torch.ones_like(chance.sum()))
    (expected,) = torch.autograd.grad((chance * reward).sum(), logits, retain_graph=True)
    weights = 8 * chance.detach()  # policy_loss takes the mean over eight samples
    baseline = torch.tensor([0.5, -0.2, 1.0], dtype=torch.float64).expand(8, 3)
    loss = policy_loss(log_prob * weights[:, None], reward, baseline)
    torch.testing.assert_close(-torch.autograd.grad(loss, logits)[0], expected)


def test_the_gradient_at_a_logit_is_williams_eligibility() -> None:
    logits = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    chosen = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    reward = torch.tensor([1.0, -2.0], dtype=torch.float64)
    (found,) = torch.autograd.grad(policy_loss(bernoulli_log_prob(logits, chosen), reward), logits)
    expected = -(chosen - logits.sigmoid()) * reward[:, None] / 2
    torch.testing.assert_close(found, expected.detach())


def test_eval_is_the_mean_of_the_draws() -> None:
    module, x = build(), frames()
    many = x[:1].expand(20_000, -1, -1)
    drawn = module.train()(many, generator=torch.Generator().manual_seed(3))
    mean = module.eval()(x[:1])
    torch.testing.assert_close(drawn.mean(0), mean[0], rtol=0, atol=0.05)


def test_it_weighs_predictions_by_single_units() -> None:
    module, x = build(num_classes=3).eval(), frames()
    predictions = torch.rand(2, 3, 3, generator=torch.Generator().manual_seed(4)).double()
    found = module.attend(x, predictions)
    expected = torch.sigmoid(x @ module.rta.weight[0] + module.rta.bias)
    torch.testing.assert_close(found.weights, expected)
    torch.testing.assert_close(found.prediction, (expected[..., None] * predictions).sum(1))


def test_normalized_weights_keep_what_all_frames_say() -> None:
    module, x = build(normalize=True), frames()
    same = torch.tensor([0.2, 0.8], dtype=torch.float64).expand(2, 3, 2)
    torch.testing.assert_close(module.eval()(x, predictions=same)[:, 0], same[:, 0])
    none = module.attend(x, same, noise=torch.ones(2, 3).double())
    assert not none.prediction.any()


def test_a_draw_sends_no_gradient_to_the_unit() -> None:
    module, x = build().train(), frames()
    module(x.requires_grad_()).sum().backward()
    assert not module.rta.weight.grad.any()
    found = module.attend(x)
    policy_loss(found.log_prob, torch.ones(2).double()).backward()
    assert module.rta.weight.grad.abs().max() > 0
