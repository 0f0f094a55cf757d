"""Kalman filtering attention against the closed form of a Gaussian posterior."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from zoo_plugins.mechanisms.logical.kalman_filtering import KalmanFilteringAttention

import zoo
from zoo.errors import OptionError, UsageError


def build(**options: Any) -> KalmanFilteringAttention:
    torch.manual_seed(0)
    module = zoo.create_attention("kalman_filtering", 6, **options)
    assert isinstance(module, KalmanFilteringAttention)
    return module


def inputs(**more: tuple[int, ...]) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(1)
    shapes = {"query": (2, 6), "memory": (2, 5, 6), **more}
    return {name: torch.randn(*shape, generator=random) for name, shape in shapes.items()}


def test_without_a_prior_it_is_softmax_attention_without_scale() -> None:
    module, given = build(), inputs(values=(2, 5, 6))
    found = module.estimate(**given, prior_precision=torch.zeros(2, 1))
    q, k, v = module.W_Q(given["query"])[:, None], module.W_K(given["memory"]), given["values"]
    expected = F.scaled_dot_product_attention(q, k, module.W_V(v), scale=1.0).squeeze(1)
    torch.testing.assert_close(found.y, expected)
    assert torch.equal(found.prior_weight, torch.zeros(2, 1))


def test_equal_precisions_average() -> None:
    module, given = build(), inputs(values=(2, 5, 6), prior_mean=(2, 6))
    given["query"] = torch.zeros(2, 6)  # every precision is exp(0) = 1
    found = module.estimate(**given, prior_precision=torch.full((2, 1), 3.0))
    values = module.W_V(given["values"]).sum(1)
    torch.testing.assert_close(found.y, (3 * given["prior_mean"] + values) / 8)


@pytest.mark.parametrize("variant", ["base", "freq"])
@pytest.mark.parametrize("heads", [1, 2, 3])
def test_weights_and_that_of_the_prior_sum_to_one(variant: str, heads: int) -> None:
    module, given = build(variant=variant, num_heads=heads), inputs(query=(2, 4, 6))
    found = module.estimate(**given)
    assert found.y.shape == (2, 4, 6)
    total = found.weights.sum(-1).view(2, 4, heads) + found.prior_weight
    torch.testing.assert_close(total, torch.ones(2, 4, heads))
    alone = module.estimate(given["query"][:, 2], given["memory"])
    torch.testing.assert_close(found.y[:, 2], alone.y)
    torch.testing.assert_close(found.weights[:, 2], alone.weights)


def test_a_certain_prior_is_believed() -> None:
    module, given = build(), inputs(prior_mean=(2, 6))
    found = module.estimate(**given, prior_precision=torch.full((2, 1), 1e12))
    torch.testing.assert_close(found.y, given["prior_mean"])


def test_without_errors_of_measurement_freq_is_base_on_the_means() -> None:
    base, freq = build(), build(variant="freq")
    freq.load_state_dict(base.state_dict(), strict=False)
    given = inputs(values=(2, 5, 3, 6), prior_mean=(2, 6))
    given["prior_precision"] = torch.ones(2, 1)
    expected = base.estimate(**{**given, "values": given["values"].mean(2)})
    found = freq.estimate(**given, measurement_variance=torch.zeros(2, 5))
    torch.testing.assert_close(found.y, expected.y)


def test_frequency_is_capped() -> None:
    """A value seen n times counts n times in base, and at most 1 / s^2 in freq."""
    module, given = build(variant="freq"), inputs()
    precision = module.estimate(**given, measurement_variance=torch.zeros(2, 5)).precision
    before = torch.zeros(2, 5)
    for count in (1, 10, 1000, 10**8):
        counts = torch.full((2, 5), count)
        now = module.estimate(
            **given, counts=counts, measurement_variance=torch.full((2, 5), 5.0)
        ).precision
        assert bool((now > before).all()) and bool((now <= precision * 1.000001).all())
        before = now
    torch.testing.assert_close(before, precision)


def test_each_value_of_a_sensor_is_the_posterior_of_a_linear_gaussian_model() -> None:
    """y maximises the density that the paper writes down, by Newton's one step."""
    module = build(variant="freq").double()
    given = {k: v.double() for k, v in inputs(values=(2, 5, 3, 6), prior_mean=(2, 6)).items()}
    counts = torch.tensor([[1, 2, 3, 3, 1], [3, 3, 1, 1, 2]])
    p, r = torch.rand(2, 1).double() + 0.1, torch.rand(2, 5).double()
    found = module.estimate(**given, counts=counts, prior_precision=p, measurement_variance=r)
    s2 = torch.exp(-(module.W_Q(given["query"])[:, None] * module.W_K(given["memory"])).sum(-1))
    v = module.W_V(given["values"])

    def minus_log_density(y: Tensor, bias: Tensor) -> Tensor:
        prior = p * (y - given["prior_mean"]) ** 2
        sensors = (bias - y[:, None]) ** 2 / s2[..., None]
        seen = (torch.arange(3) < counts[..., None])[..., None]
        values = (seen * (v - bias[:, :, None]) ** 2).sum(2) / r[..., None]
        return (prior.sum() + sensors.sum() + values.sum()) / 2

    y = found.y.detach().requires_grad_()
    means = torch.stack([v[b, m, : counts[b, m]].mean(0) for b in range(2) for m in range(5)])
    weight, own = 1 / s2[..., None], counts[..., None] / r[..., None]
    bias = (weight * y.detach()[:, None] + own * means.view(2, 5, 6)) / (weight + own)
    gradients = torch.autograd.grad(minus_log_density(y, bias.detach()), y)[0]
    torch.testing.assert_close(gradients, torch.zeros_like(gradients), atol=1e-9, rtol=0)


@pytest.mark.parametrize("scale", [30.0, -30.0, 300.0])
def test_large_scores_neither_overflow_nor_vanish(scale: float) -> None:
    module, given = build(), inputs()
    given["query"] = given["query"] * scale
    found = module.estimate(**given, prior_precision=torch.zeros(2, 1))
    torch.testing.assert_close(found.weights.sum(-1), torch.ones(2))
    with_prior = module.estimate(**given)
    assert bool(with_prior.y.isfinite().all())


@pytest.mark.parametrize("variant", ["base", "freq"])
def test_a_masked_memory_is_absent(variant: str) -> None:
    module, given = build(variant=variant), inputs()
    mask = torch.tensor([[True] * 3 + [False] * 2] * 2)
    short = module(given["query"], given["memory"][:, :3])
    torch.testing.assert_close(module(given["query"], given["memory"], mask), short)
    nothing = module.estimate(given["query"], given["memory"], torch.zeros(2, 5).bool())
    torch.testing.assert_close(nothing.y, module.prior_mean(given["query"]))


def test_wrong_uses_are_refused() -> None:
    with pytest.raises(OptionError, match="num_heads"):
        build(num_heads=4)
    with pytest.raises(UsageError, match="variant 'base'"):
        build().estimate(**inputs(values=(2, 5, 3, 6)))
    with pytest.raises(UsageError, match="memory"):
        build()(torch.zeros(2, 6), torch.zeros(2, 5, 7))
