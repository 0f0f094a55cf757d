"""What a recipe's `compile` reaches: whatever the objective of the model calls."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
import torch
from torch._dynamo.utils import counters

from zoo.errors import RecipeError
from zoo.recipes import Data, Optimizer, Recipe
from zoo.registry import default_registry
from zoo.training.prepare import build_model, objective_of

RECIPE = Recipe(
    model="", epochs=1, batch_size=2, data=Data(name="mnist"), optimizer=Optimizer(lr=1e-3)
)
MODELS = {  # the smallest of each objective: its options, side of the images, shape of the labels
    "ram_28": ({"num_glimpses": 2}, 64, (2,)),
    "dram_mnist_pairs": ({"glimpse_dim": 16, "cell_size": 16}, 100, (2, 2)),
    "cnn_svhn_grey": ({}, 32, (2, 5)),
    "abn_resnet18": ({"num_classes": 10}, 64, (2,)),
    "dvan_resnet18": ({"num_classes": 10}, 64, (2,)),
    "xslot_resnet18": ({"num_classes": 10}, 64, (2,)),
    "dasnet_cifar10": ({}, 32, (2,)),
    "se_test_resnet": ({"num_classes": 10}, 64, (2,)),
}
SLOW = {"abn_resnet18", "dvan_resnet18", "xslot_resnet18", "dasnet_cifar10"}


def test_each_objective_of_the_catalogue_is_tried():
    specs = default_registry().models
    known = {spec.objective for spec in specs.values()} - {specs["gain_resnet18"].objective}
    assert known == {specs[name].objective if name in specs else "" for name in MODELS}


def losses(recipe: Recipe, side: int, labels: tuple[int, ...]) -> tuple[list[torch.Tensor], int]:
    """The loss at three moments of a training, and how many graphs were captured on the way."""
    torch._dynamo.reset()
    counters.clear()
    torch.manual_seed(0)
    model, spec = build_model(recipe)
    model.eval()  # no dropout and no statistics: what is compared is the arithmetic
    objective = objective_of(recipe, model, spec.objective if spec else "", torch.device("cpu"))
    channels = getattr(model, "in_chans", 3)
    images, targets = torch.rand(2, channels, side, side), torch.randint(0, 10, labels)
    found = []
    for progress in (0.1, 0.5, 0.9):
        torch.manual_seed(1)
        found.append(objective(images, targets, progress)[0].detach())
    return found, counters["stats"]["unique_graphs"]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in MODELS],
)
def test_compile_reaches_what_an_objective_calls(monkeypatch, name):
    """Its `forward` alone would do nothing for a model that is rolled out, or asked to attend."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    options, side, labels = MODELS[name]
    objective = {"population": 2} if name == "dasnet_cifar10" else {}
    recipe = replace(RECIPE, model=name, model_options=options, objective=objective)
    plain, none = losses(recipe, side, labels)
    compiled, graphs = losses(replace(recipe, compile=True), side, labels)
    assert none == 0 and graphs > 0
    torch.testing.assert_close(plain, compiled)


def test_what_cannot_be_compiled_is_refused():
    recipe = replace(RECIPE, model="gain_resnet18", compile=True)
    with pytest.raises(RecipeError, match="cannot be compiled"):
        losses(recipe, 64, (2,))
