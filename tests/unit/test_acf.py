"""The attentional class feature, against what its definition determines."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import zoo


def build(**options: Any) -> Any:
    torch.manual_seed(0)
    return zoo.create_attention("acf", 5, in_channels=6, **options).eval()


def features_of(module: Any, x: torch.Tensor) -> torch.Tensor:
    return module.norm(module.conv1(x)).relu()


def test_the_center_of_a_class_is_the_weighted_mean_of_its_positions() -> None:
    module, x, coarse = build(), torch.randn(2, 6, 3, 4), torch.randn(2, 3, 3, 4)
    features = features_of(module, x)
    weights = module.weights(coarse)
    torch.testing.assert_close(weights.sum(1), torch.ones(2, 12))
    centers = module.centers(features, weights)
    for b in range(2):
        for k in range(3):
            p = weights[b, k]
            mean = (p * features[b].flatten(1)).sum(1) / p.sum()
            torch.testing.assert_close(centers[b, k], mean)
    combined = torch.einsum("bkn,bkc->bcn", weights, centers).unflatten(2, (3, 4))
    torch.testing.assert_close(module(x, coarse), module.conv2(combined))


def test_certain_classes_give_each_position_the_mean_of_its_class() -> None:
    module, x = build(), torch.randn(1, 6, 2, 4)
    coarse = torch.full((1, 2, 2, 4), -50.0)
    coarse[:, 0, :, :1] = coarse[:, 1, :, 1:] = 50
    features = features_of(module, x)
    expected = torch.empty_like(features)
    for part in (slice(0, 1), slice(1, 4)):
        expected[..., part] = features[..., part].mean((2, 3), keepdim=True)
    torch.testing.assert_close(module(x, coarse), module.conv2(expected))


def test_one_class_is_global_average_pooling() -> None:
    module, x = build(), torch.randn(2, 6, 3, 4)
    y = module(x, torch.randn(2, 1, 3, 4))
    expected = module.conv2(features_of(module, x).mean((2, 3), keepdim=True))
    torch.testing.assert_close(y, expected.expand_as(y))


def test_a_class_that_is_nowhere_leaves_no_nan() -> None:
    coarse = torch.zeros(1, 2, 3, 3)
    coarse[:, 1] = -1e4
    assert build()(torch.randn(1, 6, 3, 3), coarse).isfinite().all()


def test_the_ports_centers_are_a_softmax_over_channels_of_the_negative_energy() -> None:
    module, x, coarse = build(variant="port"), torch.randn(2, 6, 3, 4), torch.randn(2, 3, 3, 4)
    features = features_of(module, x).flatten(2)
    energy = coarse.flatten(2) @ features.transpose(1, 2)
    expected = (energy.max(2, keepdim=True)[0] - energy).softmax(2)
    found = module.centers(features.unflatten(2, (3, 4)), module.weights(coarse))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("options", "variant"),
    [
        ({}, "paper"),
        ({"bias": True}, "port"),
        ({"bias": False}, "port"),
        ({"bias": True, "variant": "paper"}, "paper"),
    ],
)
def test_which_form_is_meant(options: dict[str, Any], variant: str) -> None:
    assert build(**options).variant == variant
