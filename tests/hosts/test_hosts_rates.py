"""Attention learns at a rate of its own."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import zoo
from zoo.errors import UsageError


def host(attention: bool = True) -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Conv2d(16, 8, 1))
    if attention:
        zoo.add_attention(model, "se", at="0", example=torch.rand(2, 3, 8, 8))
    return model


def test_every_parameter_is_in_one_group_and_attention_has_its_rate() -> None:
    model = host()
    groups = zoo.parameter_groups(model, lr=0.1, attention_lr_scale=0.25, weight_decay=0.01)
    rates = {id(p): g["lr"] for g in groups for p in g["params"]}
    decay = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    assert sum(len(g["params"]) for g in groups) == len(rates) == len(list(model.parameters()))
    own = {id(p) for p in zoo.attention_parameters(model)}
    assert all(rates[i] == (0.025 if i in own else 0.1) for i in rates)
    assert all(decay[id(p)] == (0.01 if p.ndim > 1 else 0.0) for p in model.parameters())


def test_the_optimiser_steps_at_that_rate() -> None:
    model = host()
    start = {id(p): p.detach().clone() for p in model.parameters()}
    optimiser = torch.optim.SGD(zoo.parameter_groups(model, lr=0.5, attention_lr_scale=0.1))
    model(torch.rand(2, 3, 8, 8)).square().sum().backward()
    optimiser.step()
    own = {id(p) for p in zoo.attention_parameters(model)}
    for parameter in model.parameters():
        assert parameter.grad is not None
        rate = 0.05 if id(parameter) in own else 0.5
        expected = start[id(parameter)] - rate * parameter.grad
        torch.testing.assert_close(parameter.detach(), expected)


def test_what_the_model_says_does_not_decay_does_not() -> None:
    model = host()
    model.no_weight_decay = lambda: {"0.weight"}
    groups = zoo.parameter_groups(model, lr=0.1, weight_decay=0.01)
    decay = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    for name, parameter in model.named_parameters():
        decays = parameter.ndim > 1 and name != "0.weight"
        assert decay[id(parameter)] == (0.01 if decays else 0.0), name


def test_frozen_parameters_and_models_without_attention() -> None:
    model = host(attention=False)
    model.get_parameter("0.weight").requires_grad_(False)
    (group,) = zoo.parameter_groups(model, lr=0.1, attention_lr_scale=0.5)
    assert group["lr"] == 0.1
    assert len(group["params"]) == len(list(model.parameters())) - 1


@pytest.mark.parametrize(
    ("wrong", "name"),
    [({"lr": 0}, "lr=0"), ({"lr": math.nan}, "lr=nan"), ({"lr": math.inf}, "lr=inf"),
     ({"lr": 1, "attention_lr_scale": -1}, "attention_lr_scale=-1"),
     ({"lr": 1, "weight_decay": math.inf}, "weight_decay=inf")],
)  # fmt: skip
def test_numbers_out_of_range_are_refused(wrong: dict[str, float], name: str) -> None:
    with pytest.raises(UsageError, match=name):
        zoo.parameter_groups(host(), **wrong)
