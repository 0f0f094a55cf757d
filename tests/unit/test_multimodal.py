"""Attention between two inputs, against the papers' equations written out plainly."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import zoo
from zoo.errors import OptionError, UsageError

POOL = {
    "Mean": lambda r, _: r.mean(),
    "Sum": lambda r, _: r.sum(),
    "Max": lambda r, _: r.max(),
    "LogSumExp": lambda r, lse: (r * lse).exp().sum().log() / lse,
}
NORM = {
    "no_norm": lambda s: s,
    "softmax": lambda s: s.softmax(1),
    "l2norm": lambda s: s / s.norm(dim=1, keepdim=True),
    "l1norm": lambda s: s / s.abs().sum(1, keepdim=True),
    "clipped": lambda s: F.leaky_relu(s, 0.1),
    "clipped_l2norm": lambda s: F.normalize(F.leaky_relu(s, 0.1), dim=1),
    "clipped_l1norm": lambda s: F.normalize(F.leaky_relu(s, 0.1), p=1, dim=1),
}


def scan_score(queries: Tensor, sources: Tensor, norm: str, pool: str, sharp: float) -> Tensor:
    """One image and one caption, the attended vectors formed."""
    attention = (sharp * NORM[norm](sources @ queries.t())).softmax(0)
    relevance = F.cosine_similarity(queries, attention.t() @ sources, dim=1)
    return POOL[pool](relevance, 6.0)


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
@pytest.mark.parametrize("norm", NORM)
def test_stacked_cross_is_its_equations(direction: str, norm: str) -> None:
    torch.manual_seed(0)
    regions = F.normalize(torch.randn(2, 4, 5), dim=2)
    words = F.normalize(torch.randn(3, 6, 5), dim=2)
    lengths = (6, 1, 4)
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    for pool in POOL:
        options: Any = {"direction": direction, "pooling": pool, "feature_norm": norm}
        module = zoo.create_attention("stacked_cross", 5, lambda_lse=6, **options)
        found = module(regions, words.masked_fill(~mask[:, :, None], 1e3), mask)
        for (i, image), (j, caption) in itertools.product(enumerate(regions), enumerate(words)):
            caption = caption[: lengths[j]]
            pair = (caption, image) if direction == "t2i" else (image, caption)
            expected = scan_score(*pair, norm, pool, 9.0 if direction == "t2i" else 4.0)
            torch.testing.assert_close(found[i, j], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
@pytest.mark.parametrize("pool", POOL)
def test_a_caption_without_words_scores_zero(direction: str, pool: str) -> None:
    module = zoo.create_attention("stacked_cross", direction=direction, pooling=pool)
    words = torch.randn(2, 3, 4, requires_grad=True)
    scores = module(torch.randn(2, 5, 4), words, torch.tensor([[True] * 3, [False] * 3]))
    scores.sum().backward()
    assert words.grad is not None and words.grad.isfinite().all()
    assert torch.equal(scores[:, 1], torch.zeros(2))
    assert (scores[:, 0] != 0).all()


def test_cross_attention_network_is_its_equations() -> None:
    torch.manual_seed(0)
    module: Any = zoo.create_attention("cross_attention_network", 5, feat_size=(2, 3)).eval()
    p, q = torch.randn(1, 2, 5, 2, 3), torch.randn(1, 3, 5, 2, 3)
    classes, queries = module(p, q)
    for n, m in itertools.product(range(2), range(3)):
        correlation = F.normalize(p[0, n].flatten(1), dim=0).t() @ F.normalize(
            q[0, m].flatten(1), dim=0
        )
        for r, own, found in ((correlation, p[0, n], classes), (correlation.t(), q[0, m], queries)):
            hidden = module.norm(module.fc1(r.mean(0, keepdim=True))).relu()
            attention = ((r * module.fc2(hidden)).mean(1) / 0.025).softmax(0)
            expected = own * (1 + attention.view(2, 3))
            torch.testing.assert_close(found[0, m, n], expected, rtol=1e-4, atol=1e-5)


def test_cross_attention_network_says_what_it_was_built_for() -> None:
    module = zoo.create_attention("cross_attention_network", 5)
    with pytest.raises(OptionError, match="36 positions"):
        module(torch.rand(1, 2, 5, 4, 4), torch.rand(1, 1, 5, 4, 4))
    with pytest.raises(UsageError, match="query_features"):
        module(torch.rand(1, 2, 5, 6, 6), torch.rand(1, 1, 4, 6, 6))
    with pytest.raises(OptionError, match="contradict"):
        zoo.create_attention("cross_attention_network", height=4, width=5, num_positions=16)


def test_co_excitation_starts_without_co_attention() -> None:
    module = zoo.create_attention("co_excitation", 8, reduction=4)
    target, query = torch.rand(2, 8, 5, 6), torch.rand(2, 8, 3, 2)
    found = module(target, query)
    assert torch.equal(found["target_nonlocal"], target)
    torch.testing.assert_close(found["target_excited"], target * found["channel_weight"])
    torch.testing.assert_close(found["query_excited"], query * found["channel_weight"])


@pytest.mark.parametrize("size", [(4, 5), (33, 32)])  # plain products, and the fused kernel
def test_self_mutual_is_its_equations(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    module: Any = zoo.create_attention("self_mutual", 6, dtype=torch.float64).eval()
    image, depth = torch.randn(2, 1, 6, *size, dtype=torch.float64)
    found = module(image, depth)
    own = [branch(x) for branch, x in ((module.image, image), (module.depth, depth))]
    affinity = [theta @ phi.transpose(1, 2) for theta, phi, _ in own]
    weights = module.selection(image, depth).flatten(2).transpose(1, 2)
    torch.testing.assert_close(weights.sum(2), torch.ones_like(weights[:, :, 0]))
    for i, (x, branch) in enumerate(((image, module.image), (depth, module.depth))):
        joined = affinity[i] + weights[:, :, i : i + 1] * affinity[1 - i]
        seen = (joined.softmax(2) @ own[i][2]).transpose(1, 2).unflatten(2, size)
        torch.testing.assert_close(found[i], x + branch.W(seen))


def test_self_mutual_without_selection_adds_the_affinities() -> None:
    module: Any = zoo.create_attention("self_mutual", 4, selection=False)
    assert torch.equal(module.selection(*torch.rand(2, 1, 4, 2, 2)), torch.ones(1, 2, 2, 2))


def test_x_linear_block_is_its_equations() -> None:
    torch.manual_seed(0)
    module: Any = zoo.create_attention("x_linear", 8, num_heads=2, activation="celu")
    query, memory = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    bilinear = module.q(query)[:, :, :, None] * module.k(memory)[:, :, None]
    basic = module.mid(bilinear).relu()
    spatial = module.spatial(basic).softmax(3)
    channel = module.channel(basic.mean(3)).sigmoid()
    y = channel * module.v1(query) * (spatial * module.v2(memory)[:, :, None]).sum(3)
    expected = y.transpose(1, 2).flatten(2)
    torch.testing.assert_close(module(query, memory), expected)
    torch.testing.assert_close(module(query[:, 1], memory), expected[:, 1])


def test_x_linear_encoder_ignores_padding_and_starts_from_the_mean() -> None:
    torch.manual_seed(0)
    module = zoo.create_attention("x_linear", 8, block="encoder", layers=2).eval()
    memory = torch.randn(2, 5, 8)
    padded = torch.cat([memory, torch.full((2, 3, 8), 1e3)], 1)
    mask = (torch.arange(8) < 5).expand(2, 8)
    vector, tokens = module(None, padded, mask)
    expected = module(memory.mean(1), memory)
    torch.testing.assert_close((vector, tokens[:, :5]), expected)
    assert module(None, padded, torch.zeros_like(mask))[0].isfinite().all()


def test_x_linear_without_memory_gives_nothing() -> None:
    module = zoo.create_attention("x_linear", 8)
    y = module(torch.randn(2, 8), torch.randn(2, 3, 8), torch.tensor([[True] * 3, [False] * 3]))
    assert torch.equal(y[1], torch.zeros(8)) and y[0].abs().sum() > 0
