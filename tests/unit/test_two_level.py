"""Two-level attention: parts from clusters of filters, objects from a filter of patches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from zoo_plugins.mechanisms.class_based.spectral import cluster_filters, spectrum
from zoo_plugins.mechanisms.class_based.two_level_pipeline import TwoLevelAttention, keep_patches

import zoo
from zoo.errors import OptionError, UsageError


def planted(parts: int, each: int, noise: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Filters around `parts` prototypes, in a random order, and the part of each."""
    random = torch.Generator().manual_seed(parts)
    prototypes = torch.eye(parts).repeat_interleave(9, 1) + 0.3
    part = torch.arange(parts).repeat(each)[torch.randperm(parts * each, generator=random)]
    filters = prototypes[part]
    filters = filters + noise * torch.randn(filters.shape, generator=random)
    return filters.view(len(part), parts, 3, 3), part


@pytest.mark.parametrize("parts", [2, 3, 4])
@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_planted_parts_are_found(parts: int, noise: float) -> None:
    filters, part = planted(parts, each=12, noise=noise)
    found = cluster_filters(filters, parts)
    pairs = {(int(a), int(b)) for a, b in zip(part, found, strict=True)}
    assert len(pairs) == parts, "clusters and planted parts are one to one"
    assert torch.equal(found, cluster_filters(filters, parts))


def test_the_spectrum_is_that_of_a_graph() -> None:
    filters, _ = planted(3, each=5, noise=0.1)
    found = spectrum(filters, 3)
    torch.testing.assert_close(found.similarity.diag(), torch.ones(15).double())
    zeros = torch.zeros(15).double()
    torch.testing.assert_close(found.laplacian.sum(1), zeros, atol=1e-12, rtol=0)
    assert abs(found.eigenvalues[0].item()) < 1e-12  # similarities are positive here
    torch.testing.assert_close(found.embedding.norm(dim=1), torch.ones(15).double())
    scaled = spectrum(filters * torch.rand(15).view(15, 1, 1, 1).add(0.1), 3)
    torch.testing.assert_close(scaled.similarity, found.similarity)


def test_a_part_takes_the_patch_that_excites_its_filters() -> None:
    module: Any = zoo.create_attention("two_level", 4, num_parts=2)
    assert module.cluster.tolist() == [0, 0, 1, 1]
    x = torch.zeros(1, 3, 4, 2, 2)
    x[0, 1, 0], x[0, 2, 2], x[0, 2, 3] = 1.0, 0.4, 0.4
    torch.testing.assert_close(
        module.scores(x)[0], torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.8]])
    )
    expected = torch.tensor([[[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.4, 0.4]]])
    torch.testing.assert_close(module(x), expected)
    mask = torch.tensor([[True, False, True]])
    torch.testing.assert_close(module(x, mask)[0, 1], expected[0, 1])
    assert module(x, mask)[0, 0].abs().max().item() == 0  # the first patch excites nothing
    torch.testing.assert_close(
        module(x, mask.logical_not()), module(x[:, 1:2].repeat(1, 3, 1, 1, 1))
    )


def test_clusters_are_part_of_the_state() -> None:
    filters, part = planted(2, each=6, noise=0.05)
    module: Any = zoo.create_attention("two_level", 12)
    module.fit(filters)
    other: Any = zoo.create_attention("two_level", 12)
    other.load_state_dict(module.state_dict())
    assert torch.equal(other.cluster, module.cluster)
    assert torch.equal(part == part[0], module.cluster == module.cluster[0])


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(OptionError, match="num_parts"):
        zoo.create_attention("two_level", 2, num_parts=2)
    module: Any = zoo.create_attention("two_level", 4, filter_dim=9, num_patches=3)
    for call in (lambda: module.fit(torch.zeros(4, 8)), lambda: module(torch.zeros(1, 2, 4))):
        with pytest.raises(UsageError, match="shape"):
            call()


def test_patches_stay_by_their_category_and_the_best_always_stays() -> None:
    share = torch.tensor([[0.9, 0.2, 0.6], [0.1, 0.3, 0.2]])
    logits = torch.stack((share / 2, share / 2, 1 - share), -1).log()
    kept = keep_patches(logits, (0, 1), 0.5)
    assert kept.tolist() == [[True, False, True], [False, True, False]]
    mask = torch.tensor([[False, True, False], [True, False, True]])
    assert keep_patches(logits, (0, 1), 0.5, mask).tolist() == [
        [False, True, False],
        [False, False, True],
    ]


class Small(nn.Module):
    """A classifier with timm's interface."""

    num_features, num_classes = 6, 3

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.fc = nn.Linear(6, 3)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).relu()

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        pooled = x.mean((2, 3))
        return pooled if pre_logits else self.fc(pooled)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(x))


def pipeline(**options: Any) -> TwoLevelAttention:
    torch.manual_seed(0)
    nets = {"filter_net": Small(), "domain_net": Small()}
    return TwoLevelAttention(**nets, parents=(1,), part_layer="conv", **options).eval()


def test_both_levels_add_up() -> None:
    module, patches = pipeline(threshold=0.0), torch.randn(2, 4, 3, 8, 8)
    module.fit_parts()
    found = module.levels(patches)
    every = module.domain_net(patches.flatten(0, 1)).softmax(1).view(2, 4, 3)
    torch.testing.assert_close(found.object_scores, every.mean(1))
    torch.testing.assert_close(found.scores.sum(1), torch.full((2,), 1.5))
    expected = found.object_scores + 0.5 * found.part_scores
    torch.testing.assert_close(module(patches), expected)
    domain_net: Any = module.domain_net
    features = domain_net.forward_features(patches.flatten(0, 1)).view(2, 4, 6, 6, 6)
    scores = module.parts.scores(features)
    assert torch.equal(found.selected, scores.argmax(1))


def test_absent_patches_change_nothing() -> None:
    module, patches = pipeline(), torch.randn(2, 4, 3, 8, 8)
    mask = torch.tensor([[True, True, False, False]] * 2)
    torch.testing.assert_close(module(patches, mask), module(patches[:, :2]))


def test_parts_need_a_convolution() -> None:
    with pytest.raises(OptionError, match="part_layer"):
        TwoLevelAttention(Small(), Small(), parents=(1,), part_layer="fc")
