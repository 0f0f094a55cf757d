"""Reciprocal attention, of which no code is published, against what its definition determines."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import zoo


@pytest.fixture
def module() -> Any:
    torch.manual_seed(0)
    module: Any = zoo.create_attention("reciprocal", 6, dtype=torch.float64)
    torch.nn.init.normal_(module.fuse.weight)
    return module


def test_each_response_attends_to_the_other(module: Any) -> None:
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    f, b = (layer(x).flatten(2) for layer in (module.foreground, module.background))
    affinity = torch.einsum("bdi,bdj->bij", f, b) / 3**0.5
    f_new = f + torch.einsum("bij,bdj->bdi", affinity.softmax(2), b)
    b_new = b + torch.einsum("bij,bdi->bdj", affinity.softmax(1), f)
    found = module.branches(x)
    torch.testing.assert_close(found[0].transpose(1, 2), f_new)
    torch.testing.assert_close(found[1].transpose(1, 2), b_new)
    fused = module.fuse((f_new - b_new).unflatten(2, (3, 4)))
    torch.testing.assert_close(module(x), x + fused)


def test_exchanging_the_branches_reverses_the_correction(module: Any) -> None:
    x = torch.randn(1, 6, 3, 4, dtype=torch.float64)
    correction = module(x) - x
    module.foreground, module.background = module.background, module.foreground
    torch.testing.assert_close(module(x) - x, -correction)


def test_equal_branches_correct_nothing(module: Any) -> None:
    module.background.load_state_dict(module.foreground.state_dict())
    x = torch.randn(1, 6, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(module(x), x)


def test_a_uniform_background_is_added_as_it_is(module: Any) -> None:
    """Weights that sum to one leave a constant a constant."""
    torch.nn.init.zeros_(module.background.weight)
    x = torch.randn(1, 6, 3, 4, dtype=torch.float64)
    f = module.foreground(x).flatten(2).transpose(1, 2)
    torch.testing.assert_close(module.branches(x)[0], f + module.background.bias)
