"""Inverse gradient attention, against what it is for."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import zoo
from zoo.errors import UsageError

OPTIONS: Any = {"message_length": 4, "encoder_blocks": 1, "decoder_blocks": 1}


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_the_mask_needs_no_gradient_mode_and_leaves_no_gradient(guard: Any) -> None:
    torch.manual_seed(0)
    module = zoo.create_attention("inverse", 4, **OPTIONS).eval()
    x, m = torch.randn(2, 3, 5, 6), torch.rand(2, 4).round()
    expected = module(x, m)
    with guard():
        found = module(x * 1, m * 1)
    torch.testing.assert_close(found, expected)
    assert not found["attention"].requires_grad
    assert all(p.grad is None for p in module.parameters())


def test_the_gradient_is_that_of_the_message_error() -> None:
    torch.manual_seed(0)
    module: Any = zoo.create_attention("inverse", 4, dtype=torch.float64, **OPTIONS).eval()
    x, m = torch.randn(1, 3, 5, 6).double(), torch.rand(1, 4).round().double()
    found, step = module(x, m), torch.zeros(1, 3, 5, 6).double()
    step[0, 1, 2, 3] = 1e-6
    slope = (module(x + step, m)["loss"] - module(x - step, m)["loss"]) / 2e-6
    torch.testing.assert_close(found["gradient"][0, 1, 2, 3], slope, rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(found["attention"], 1 - found["gradient"].sigmoid())
    torch.testing.assert_close(found["y"], x * found["attention"])


def test_training_treats_the_mask_as_a_constant() -> None:
    module = zoo.create_attention("inverse", 4, **OPTIONS)
    x = torch.randn(2, 3, 5, 6, requires_grad=True)
    found = module(x, torch.rand(2, 4).round())
    (gradient,) = torch.autograd.grad(found["y"].sum(), x, retain_graph=True)
    assert torch.equal(gradient, found["attention"])
    found["decoded_masked"].sum().backward()
    assert any(p.grad is not None and p.grad.any() for p in module.parameters())


@pytest.mark.parametrize("normalize", ["min_max", "mean", "standard"])
def test_other_normalisations(normalize: str) -> None:
    module = zoo.create_attention("inverse", 4, normalize=normalize, **OPTIONS)
    mask = 1 - module(torch.randn(2, 3, 5, 6), torch.rand(2, 4).round())["attention"]
    assert {
        "min_max": mask.min().abs() < 1e-6 and (mask.max() - 1).abs() < 1e-6,
        "mean": mask.mean().abs() < 1e-6 and (mask.max() - mask.min() - 1).abs() < 1e-6,
        "standard": mask.mean().abs() < 1e-6 and (mask.std() - 1).abs() < 1e-6,
    }[normalize]


def test_the_message_has_the_length_it_was_built_for() -> None:
    module = zoo.create_attention("inverse", 4, **OPTIONS)
    with pytest.raises(UsageError, match="messages"):
        module(torch.rand(1, 3, 5, 6), torch.rand(1, 5))
