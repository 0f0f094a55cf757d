"""What the equations of prophet attention determine."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from zoo_plugins.mechanisms.logical.prophet import deviation, noun_phrase_spans, span_means

import zoo


def prophet(**options: Any) -> Any:
    torch.manual_seed(0)
    return zoo.create_attention("prophet", 8, word_dim=6, **options)


def inputs(steps: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    shapes = ((2, steps, 8), (2, 7, 8), (2, steps, 6))
    query, memory, words = (torch.randn(s, generator=random) for s in shapes)
    return query, memory, words


@pytest.mark.parametrize("shared", [True, False])
def test_all_parameters_learn_where_the_words_are_known(shared: bool) -> None:
    module = prophet(shared=shared)
    query, memory, words = inputs()
    found = module.foretell(query, memory, words)
    (found.deviation + found.context.sum() + found.ideal_context.square().sum()).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in module.parameters())


def test_both_attentions_are_distributions_over_the_regions_that_are_present() -> None:
    module, (query, memory, words) = prophet(), inputs()
    mask = torch.arange(7) < torch.tensor([[7], [4]])
    found = module.foretell(query, memory, words, mask=mask)
    for weights in (found.weights, found.ideal_weights):
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5))
        assert weights.min() >= 0 and torch.equal(weights[1, :, 4:], torch.zeros(5, 3))


def test_a_state_that_knows_the_words_has_nothing_to_correct() -> None:
    """With shared scores, a decoder whose state is what the prophet saw looks where it looks."""
    module, (_, memory, words) = prophet(), inputs()
    seen = module.read(words)
    found = module.foretell(seen, memory, words)
    assert found.deviation.item() == 0
    assert torch.equal(found.weights, found.ideal_weights)
    torch.testing.assert_close(module(seen, memory), found.context)


def test_a_detached_prophet_is_a_fixed_target() -> None:
    module, (query, memory, words) = prophet(shared=False, detach=True), inputs()
    module.foretell(query, memory, words).deviation.backward()
    assert all(p.grad is None for p in module.prophet.parameters())
    assert all(p.grad is None for p in module.words.parameters())
    assert all(p.grad is not None for p in module.attention.parameters())


def test_the_words_of_a_phrase_look_at_one_place() -> None:
    module, (query, memory, words) = prophet(), inputs()
    phrase = torch.tensor([[-1, 0, 0, 0, 1], [0, 0, -1, -1, 1]])
    spans, visual = noun_phrase_spans(phrase)
    assert spans.tolist() == [
        [[0, 0], [1, 3], [1, 3], [1, 3], [4, 4]],
        [[0, 1], [0, 1], [2, 2], [3, 3], [4, 4]],
    ]
    found = module.foretell(query, memory, words, spans=spans, visual=visual)
    torch.testing.assert_close(found.ideal_weights[0, 1], found.ideal_weights[0, 3])
    apart = (found.weights - found.ideal_weights).abs().sum(-1)
    expected = (apart[0, 1:].sum() + apart[1, [0, 1, 4]].sum()) / 2
    torch.testing.assert_close(found.deviation, expected)


def test_spans_average_what_they_hold() -> None:
    states = torch.arange(4.0).view(1, 4, 1)
    spans = torch.tensor([[[0, 3], [1, 1], [1, 2], [3, 3]]])
    assert span_means(states, spans).flatten().tolist() == [1.5, 1.0, 1.5, 3.0]


def test_the_deviation_is_bounded_by_two_a_word() -> None:
    one, other = torch.eye(3)[None, :2], torch.eye(3)[None, 1:]
    assert float(deviation(one, other)) == 4
    assert float(deviation(one, other, torch.tensor([[True, False]]))) == 2


def test_padding_of_a_caption_enters_nothing() -> None:
    module, (query, memory, words) = prophet(), inputs()
    mask = torch.arange(5) < torch.tensor([[3], [3]])
    short = module.foretell(query[:, :3], memory, words[:, :3])
    padded = torch.where(mask[..., None], words, 1e3)
    long = module.foretell(query, memory, padded, word_mask=mask)
    torch.testing.assert_close(long.ideal_weights[:, :3], short.ideal_weights)
    torch.testing.assert_close(long.deviation, short.deviation)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("masked", [True, False])
def test_words_are_read_under_autocast(dtype: torch.dtype, masked: bool) -> None:
    """The LSTM's kernel knows neither type on every CPU."""
    module, (_, _, words) = prophet(), inputs()
    mask = torch.arange(5).expand(2, 5) < 3 if masked else None
    expected = module.read(words, mask)
    with torch.autocast("cpu", dtype):
        torch.testing.assert_close(module.read(words, mask), expected)
        torch.testing.assert_close(
            module.read(words.to(dtype), mask), expected, rtol=2e-2, atol=2e-2
        )
