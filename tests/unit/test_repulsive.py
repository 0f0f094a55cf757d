"""Repulsive attention: its kernel's derivative, its limits, and both ways to split heads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.errors import UsageError

HIDDEN, HEADS, WIDTH = 6, 4, 3


def build(**options: Any) -> Any:
    options = {"num_heads": HEADS, "head_dim": WIDTH, **options}
    return zoo.create_attention("repulsive", HIDDEN, **options)


def matrix(seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(HIDDEN, HEADS * WIDTH, generator=random, dtype=torch.float64)


def heads(weight: Tensor) -> Tensor:
    """(M, D), the columns of a head side by side."""
    return torch.stack([part.flatten() for part in weight.split(WIDTH, 1)])


def test_the_repulsion_is_the_kernels_derivative() -> None:
    weight = matrix().requires_grad_()
    found = build().repel(weight.detach(), matrix(1))
    x = heads(weight)
    distance = (x[:, None] - x.detach()).square().sum(2)
    kernel = torch.exp(-distance / (2 * found.bandwidth**2))
    torch.testing.assert_close(kernel.detach(), found.kernel)
    kernel.sum().backward()
    torch.testing.assert_close(-weight.grad, found.repulsion)


def test_the_bandwidth_is_the_median_heuristic() -> None:
    distances = torch.pdist(heads(matrix())).square().repeat(2)
    every = torch.cat([distances, torch.zeros(HEADS)]).sort()[0]
    median = (every[len(every) // 2 - 1] + every[len(every) // 2]) / 2
    expected = (0.5 * median / torch.log(torch.tensor(HEADS + 1.0))).sqrt()
    torch.testing.assert_close(build().repel(matrix(), matrix(1)).bandwidth[0], expected)


def test_equal_heads_share_their_gradients_and_do_not_repel() -> None:
    weight = torch.cat([matrix()[:, :WIDTH]] * HEADS, 1)
    found = build().repel(weight, matrix(1))
    mean = heads(matrix(1)).mean(0).expand(HEADS, -1)
    torch.testing.assert_close(heads(found.gradient), mean)
    assert not found.repulsion.any()


def test_one_head_keeps_its_gradient() -> None:
    module = zoo.create_attention("repulsive", 5, num_heads=1, head_dim=4)
    weight, gradient = torch.randn(2, 5, 4).unbind()
    torch.testing.assert_close(module(weight, gradient), gradient)


def test_a_step_along_the_repulsion_spreads_the_heads() -> None:
    weight = matrix()
    moved = weight - 0.1 * build()(weight, torch.zeros_like(weight))
    assert torch.pdist(heads(moved)).sum() > torch.pdist(heads(weight)).sum()
    stay = build(repulsive_weight=0)(weight, torch.zeros_like(weight))
    assert not stay.any()


def test_a_comb_is_a_split_of_permuted_columns() -> None:
    order = torch.cat([torch.arange(j, HEADS * WIDTH, HEADS) for j in range(HEADS)])
    weight, gradient = matrix(), matrix(1)
    comb = build(split="comb")(weight, gradient)
    torch.testing.assert_close(comb[:, order], build()(weight[:, order], gradient[:, order]))
    assert not torch.allclose(comb, build()(weight, gradient))


def test_the_step_scales_and_the_sampler_adds_gradient_and_noise() -> None:
    weight, gradient, noise = matrix(), matrix(1), matrix(2)
    svgd = build()(weight, gradient)
    torch.testing.assert_close(build(stepsize=0.1)(weight, gradient), 0.1 * svgd)
    spos = build(method="spos", stepsize=0.5, beta=2.0)
    expected = 0.5 * (svgd + 2 * gradient - 8**0.5 * noise)
    torch.testing.assert_close(spos(weight, gradient, noise=noise), expected)
    silent = spos.eval()(weight, gradient)
    torch.testing.assert_close(silent, 0.5 * (svgd + 2 * gradient))


def test_it_replaces_the_gradients_of_linear_layers() -> None:
    module, layers = build(), [nn.Linear(HIDDEN, HEADS * WIDTH) for _ in range(2)]
    (layers[0](torch.ones(1, HIDDEN)) ** 2).sum().backward()
    before = layers[0].weight.grad.clone()  # pyright: ignore[reportOptionalMemberAccess]
    module.repulse_([layer.weight for layer in layers])
    expected = module(layers[0].weight.detach().t(), before.t()).t()
    torch.testing.assert_close(layers[0].weight.grad, expected)
    assert layers[1].weight.grad is None
    with pytest.raises(UsageError, match="weight"):
        module(before, before)
