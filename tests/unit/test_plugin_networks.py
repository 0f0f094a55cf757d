"""A network of a plugin is built as its constructor says, where neither call nor spec say more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from torch import Tensor, nn

import zoo
from zoo.registry import Registry


class Grey(nn.Module):
    """Logits (B, num_classes) of maps of one channel, by default of seven classes."""

    def __init__(self, num_classes: int = 7, in_chans: int = 1) -> None:
        super().__init__()
        self.classifier = nn.Linear(in_chans, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(x.mean((2, 3)))


def registry(**spec: Any) -> Registry:
    @zoo.hookimpl
    def zoo_models() -> list[zoo.ModelSpec]:
        return [zoo.ModelSpec(name="grey", target=f"{__name__}:Grey", **spec)]

    return Registry(plugins=[SimpleNamespace(zoo_models=zoo_models)])


@pytest.mark.parametrize(
    ("spec", "call", "shape"),
    [
        ({}, {}, (7, 1)),
        ({}, {"num_classes": 3, "in_chans": 2}, (3, 2)),
        ({"defaults": {"num_classes": 5}}, {}, (5, 1)),
        ({"input": {"num_classes": 4, "input_size": (3, 8, 8)}}, {}, (4, 3)),
    ],
)
def test_the_constructor_s_defaults_hold(
    spec: dict[str, Any], call: dict[str, Any], shape: tuple[int, int]
) -> None:
    model: Any = zoo.create_model("grey", registry=registry(**spec), **call)
    assert model.classifier.weight.shape == shape
    assert model.pretrained_cfg["num_classes"] == shape[0]
    asked = "in_chans" in call  # timm's settings do not follow it: they are those of the weights
    assert model.pretrained_cfg["input_size"][0] == (1 if asked else shape[1])
