"""Belief networks: lengths, means, divergences, and what the authors' eval hands on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Gamma, Weibull

import zoo
from zoo.errors import OptionError


def build(**options: Any) -> Any:
    torch.manual_seed(0)
    options = {"num_heads": 2, "num_tokens": 6, **options}
    return zoo.create_attention("belief_network", 8, dtype=torch.float64, **options)


def tokens(count: int = 6, batch: int = 2) -> Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randn(batch, count, 8, generator=random, dtype=torch.float64)


def test_the_mean_of_the_draws_is_what_eval_has() -> None:
    module = build(noise_low=0.0, noise_high=1.0, variant="paper")
    x = tokens(4, 1)
    (mean,) = module.eval().attend(x)
    noise = (torch.arange(4000) + 0.5).double() / 4000
    noise = noise.view(1, -1, 1, 1, 1).expand(1, -1, 2, 4, 4)
    (drawn,) = module.train().attend(x.expand(4000, -1, -1), noise=noise)
    torch.testing.assert_close(drawn.sample.mean(0), mean.sample[0], rtol=1e-2, atol=1e-3)


def test_the_divergence_of_the_paper() -> None:
    module, x = build(variant="paper", beta=1.5), tokens(3, 1)
    (layer,) = module.train().attend(x, noise=torch.full((1, 1, 2, 3, 3), 0.4).double())
    inner = module.layers[0]
    q2, k2 = (inner.get_submodule(f"linear_{n}")(x).unflatten(2, (2, 4)) for n in ("q2", "k2"))
    second = (torch.einsum("bihd,bjhd->bhij", q2, k2) / 2).softmax(-1)
    prior = second @ inner.linear_prior.weight[:3, :3].t() + inner.linear_prior.bias[:3]
    p = Gamma(1.5 * prior.softmax(-1), torch.tensor(1.5).double())
    q = Weibull(layer.scale, layer.k)
    draws = q.icdf(((torch.arange(50_000) + 0.5) / 50_000).double().view(-1, 1, 1, 1, 1))
    expected = (q.log_prob(draws) - p.log_prob(draws)).mean()
    torch.testing.assert_close(layer.kl, expected, rtol=1e-3, atol=1e-3)
    assert layer.kl > 0


def test_fewer_tokens_use_the_leading_blocks() -> None:
    module, x = build().eval(), tokens(4)
    small = build(num_tokens=4).eval()
    state = {
        name: tensor[tuple(slice(n) for n in small.state_dict()[name].shape)]
        for name, tensor in module.state_dict().items()
    }
    small.load_state_dict(state)
    torch.testing.assert_close(module(x), small(x))
    with pytest.raises(OptionError, match="num_tokens=7"):
        module(tokens(7))


def test_padding_takes_no_part_in_any_layer() -> None:
    module, x = build(num_layers=2, variant="paper").eval(), tokens()
    mask = (torch.arange(6) < 4).expand(2, 6)
    x[:, 4:] = 100.0
    for ours, short in zip(module.attend(x, mask), module.attend(x[:, :4]), strict=True):
        torch.testing.assert_close(ours.y[:, :4], short.y)
        torch.testing.assert_close(ours.hidden[..., :4, :4], short.hidden)
        torch.testing.assert_close(ours.kl, short.kl)


def test_in_eval_the_authors_hand_on_the_weights() -> None:
    x = tokens()
    official, paper = (
        build(num_layers=2, variant=v).eval().attend(x) for v in ("official", "paper")
    )
    torch.testing.assert_close(official[0].y, paper[0].y)
    assert not torch.allclose(official[1].y, paper[1].y)
    sums = official[0].hidden.sum(3)
    torch.testing.assert_close(sums, torch.ones_like(sums))


def test_the_prior_learns_from_the_divergence() -> None:
    module = build(num_layers=2).train()
    module(tokens())
    module.kl.backward()
    assert all(layer.linear_prior.weight.grad.abs().max() > 0 for layer in module.layers)
