"""Variational attention, categorical and Gaussian: limits, draws and divergences."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal, kl_divergence

import zoo
from zoo.errors import UsageError


def build(name: str = "variational", **options: Any) -> Any:
    torch.manual_seed(0)
    return zoo.create_attention(name, 8, dtype=torch.float64, **options)


def inputs(queries: int = 3, memories: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    """A query, a memory and inference scores."""
    random = torch.Generator().manual_seed(1)
    sizes = ((2, queries, 8), (2, memories, 8), (2, queries, memories))
    query, memory, scores = (
        torch.randn(*size, generator=random, dtype=torch.float64) for size in sizes
    )
    return query, memory, scores


def test_dot_scores_are_scaled_dot_product_attention() -> None:
    query, memory, _ = inputs()
    expected = F.scaled_dot_product_attention(query, memory, memory, scale=1.0)
    for name, options in (("variational", {"score": "dot"}), ("variational", {"score": "general"})):
        module = build(name, **options).eval()
        if options["score"] == "general":
            torch.nn.init.eye_(module.linear_in.weight)
        found = module.attend(query, memory)
        torch.testing.assert_close(found.context, expected)
        torch.testing.assert_close(module(query, memory), found.output_soft)
    gaussian = build("variational_gaussian").eval()
    torch.nn.init.eye_(gaussian.memory_layer.weight)
    torch.testing.assert_close(gaussian.attend(query, memory).mean, expected)


def test_the_divergence_is_zero_only_from_itself() -> None:
    query, memory, scores = inputs()
    module = build()
    assert not module.attend(query, memory).kl.any()
    assert (module.attend(query, memory, None, scores).kl > 0).all()


def test_enumeration_has_an_output_for_every_position() -> None:
    query, memory, _ = inputs()
    found = build().attend(query, memory)
    assert found.output.shape == (6, 2, 3, 8)
    only = build().attend(query, memory[:, 2:3])
    torch.testing.assert_close(found.output[2], only.output_soft)


def test_draws_follow_the_posterior_and_know_its_logarithm() -> None:
    query, memory, scores = inputs(1, 4)
    module = build(mode="sample", num_samples=20_000)
    random = torch.Generator().manual_seed(2)
    mask = torch.tensor([[True] * 4, [True] * 3 + [False]])
    found = module.attend(query, memory, mask, scores, generator=random)
    q = scores.masked_fill(~mask[:, None], -torch.inf).softmax(-1)
    torch.testing.assert_close(found.sample.mean(0), q, rtol=0, atol=0.02)
    picked = (found.sample * q).sum(-1).log()
    torch.testing.assert_close(found.log_prob, picked)
    p = (found.sample * found.attention).sum(-1).log()
    torch.testing.assert_close(found.log_prior, p)
    prior = build(mode="sample", num_samples=20_000, use_prior=True)
    drawn = prior.attend(query, memory, mask, scores, generator=random)
    torch.testing.assert_close(drawn.sample.mean(0), drawn.attention, rtol=0, atol=0.02)


def test_relaxed_draws_between_one_and_all() -> None:
    query, memory, scores = inputs()
    noise = torch.rand(2, 2, 3, 6, generator=torch.Generator().manual_seed(3)).double()
    log_q = scores.log_softmax(-1)
    best = (log_q - torch.log(-torch.log(noise))).argmax(-1)
    cold = build(mode="gumbel", num_samples=2, temperature=1e-3)
    found = cold.attend(query, memory, None, scores, noise=noise)
    torch.testing.assert_close(found.sample, F.one_hot(best, 6).double())
    hot = build(mode="gumbel", num_samples=2, temperature=1e6)
    even = hot.attend(query, memory, None, scores, noise=noise).sample
    torch.testing.assert_close(even, torch.full_like(even, 1 / 6), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", ["enum", "sample", "gumbel", "wsram"])
def test_what_is_absent_is_never_attended_to(mode: str) -> None:
    query, memory, scores = inputs()
    mask = torch.tensor([[True] * 4 + [False] * 2, [False] * 6])
    found = build(mode=mode, num_samples=3).attend(query, memory, mask, scores)
    assert not found.attention[0, :, 4:].any() and not found.attention[1].any()
    assert not found.context[1].any()
    assert found.kl.isfinite().all() and found.output.isfinite().all()
    if found.sample is not None:
        assert not found.sample[:, 0, :, 4:].any()
    if found.log_prob is not None:
        assert found.log_prob[:, 0].isfinite().all() and not found.log_prob[:, 1].any()


def test_one_step_is_a_sequence_of_one() -> None:
    query, memory, scores = inputs()
    for name in ("variational", "variational_gaussian"):
        module = build(name).eval()
        whole = module(query, memory)
        torch.testing.assert_close(module(query[:, 0], memory), whole[:, 0])
    kl = build().attend(query[:, 0], memory, None, scores[:, 0]).kl
    torch.testing.assert_close(kl[:, 0], build().attend(query, memory, None, scores).kl[:, 0])


def test_positions_out_of_range_are_refused() -> None:
    query, memory, scores = inputs()
    with pytest.raises(UsageError, match="positions 0 to 5"):
        build(mode="sample").attend(
            query, memory, None, scores, sample_index=torch.full((1, 2, 3), 6)
        )


@pytest.mark.parametrize("score", ["multiplicative", "additive"])
@pytest.mark.parametrize("prior", ["mean", "zero"])
def test_the_gaussian_contexts_divergence_and_draws(prior: str, score: str) -> None:
    query, memory, _ = inputs()
    mask = torch.arange(6) < torch.tensor([[6], [4]])
    module = build("variational_gaussian", prior=prior, score=score)
    noise = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(4)).double()
    found = module.attend(query, memory, mask, noise=noise)
    centre = torch.stack([memory[0].mean(0), memory[1, :4].mean(0)])[:, None]
    centre = centre if prior == "mean" else torch.zeros_like(centre)
    p = Normal(centre.expand_as(found.mean), 1.0)
    expected = kl_divergence(Normal(found.mean, found.log_sigma.exp()), p).sum(2)
    torch.testing.assert_close(found.kl, expected)
    torch.testing.assert_close(found.sample, found.mean + noise * found.log_sigma.exp())


def test_without_temperature_a_gaussian_context_is_its_mean() -> None:
    query, memory, _ = inputs()
    module = build("variational_gaussian", temperature=1e-9)
    torch.testing.assert_close(module.train()(query, memory), module.eval()(query, memory))
