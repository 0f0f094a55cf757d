"""What models cost: against torchvision's own figures, and the record against a new count."""

from __future__ import annotations

from typing import Any

import pytest
import torchvision

import zoo
from zoo.build.costs import cost, model_cost
from zoo.registry import default_registry
from zoo.registry.catalogue import goes_into_backbones

REGISTRY = default_registry()


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vgg11_bn"])
def test_a_model_costs_what_torchvision_says(name: str) -> None:
    weights: Any = torchvision.models.get_model_weights(name)
    meta = weights.DEFAULT.meta
    found = model_cost(name)
    assert found["parameters"] == meta["num_params"]
    assert found["multiplications"] / 1e9 == pytest.approx(meta["_ops"], rel=2e-3)
    assert found["input_size"] == [3, 224, 224]


@pytest.mark.parametrize("name", ["cbam_resnet18", "ram_mnist", "stn_mnist", "slot_cnn_64"])
def test_the_record_of_a_model_is_true(name: str) -> None:
    assert zoo.model_info(name)["cost"] == model_cost(name)


OFTEN = ("se", "cbam", "non_local", "multi_head")
RARELY = [
    pytest.param(name, marks=pytest.mark.slow)
    for name in sorted(REGISTRY.attentions.keys() - OFTEN)
]


@pytest.mark.parametrize("name", [*OFTEN, *RARELY])
def test_the_record_of_a_mechanism_is_true(name: str) -> None:
    assert zoo.attention_info(name)["cost"] == cost(REGISTRY.attentions[name], REGISTRY)


def test_every_named_model_and_refiner_has_a_record() -> None:
    """Written by `python -m zoo.build.costs plugins/zoo_plugins/costs.json`."""
    assert [n for n in zoo.list_models() if zoo.model_info(n)["cost"] is None] == []
    maps = [n for n, spec in REGISTRY.attentions.items() if goes_into_backbones(spec)]
    assert [n for n in maps if zoo.attention_info(n)["cost"] is None] == []
