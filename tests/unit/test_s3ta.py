"""Sequential top-down attention where no recorded case reaches."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import zoo
from zoo.errors import OptionError, UsageError


def build(**options: Any) -> Any:
    torch.manual_seed(0)
    given = {"spatial_basis_dim": 9, "hidden_size": 10, "num_queries": 2, **options}
    return zoo.create_attention("s3ta", 12, **given)


def test_the_basis_is_that_of_the_paper_written_as_loops() -> None:
    x = torch.zeros(1, 12, 4, 5)
    basis = build().basis(x).view(3, 3, 4, 5)
    for u in (1, 2, 3):
        for v in (1, 2, 3):
            for h in (1, 4):
                for w in (1, 5):
                    expected = math.cos(math.pi * u * h / 4) * math.cos(math.pi * v * w / 5)
                    found = basis[u - 1, v - 1, h - 1, w - 1].item()
                    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("core_input", ["answers", "answers_and_queries_mlp"])
def test_steps_taken_one_by_one_are_those_taken_at_once(core_input: str) -> None:
    together, single = (build(num_steps=n, core_input=core_input) for n in (3, 1))
    x, state = torch.randn(2, 12, 4, 5), None
    expected, last = together(x)
    for step in range(3):
        output, state = single(x, state)
        torch.testing.assert_close(output[:, 0], expected[:, step])
    torch.testing.assert_close(state, last)


def test_attention_is_a_distribution_and_answers_lie_among_the_values() -> None:
    steps = build().look(torch.randn(2, 12, 4, 5))
    torch.testing.assert_close(steps.attention.sum((3, 4)), torch.ones(4, 2, 2))
    assert steps.answers.shape == (4, 2, 2, 12 - 6 + 9)
    assert steps.queries.shape == (4, 2, 2, 6 + 9)


def test_a_constant_map_is_told_apart_by_the_basis_alone() -> None:
    steps = build().look(torch.ones(1, 12, 4, 5))
    torch.testing.assert_close(steps.answers[..., :6], torch.ones(4, 1, 2, 6))


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(OptionError, match="not a square"):
        build(spatial_basis_dim=8)
    with pytest.raises(OptionError, match="key_dim"):
        build(key_dim=4, value_dim=4)
    with pytest.raises(UsageError, match="shape"):
        build(height=4, width=5)(torch.zeros(1, 12, 4, 6))
