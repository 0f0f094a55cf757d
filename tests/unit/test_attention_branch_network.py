"""Attention branch networks: two classifications, one explanation."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from zoo_plugins.networks.attention_branch.resnet import AttentionBranchLoss

import zoo
from zoo.errors import OptionError
from zoo.registry import default_registry
from zoo.weights.keymaps import carry_over, map_keys


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    return zoo.create_model("abn_resnet18", num_classes=4).eval()


def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def test_the_last_stage_sees_the_attended_map(model: Any) -> None:
    found, maps = model.attend(images()), []
    handle = model.layer4.register_forward_pre_hook(lambda _, given: maps.append(given[0]))
    logits = model(images())
    handle.remove()
    torch.testing.assert_close(logits, found.logits)
    x = images()
    for name in ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2"):
        x = model.get_submodule(name)(x)
    x = model.layer3[1](model.layer3[0](x))
    torch.testing.assert_close(maps[0], x * (1 + found.attention))


def test_the_explanation_is_a_map_from_zero_to_one(model: Any) -> None:
    attention = model.attention_maps(images())["attention"]
    assert attention.shape == (2, 1, 4, 6)
    assert 0 <= attention.min().item() and attention.max().item() <= 1


def test_features_are_those_that_the_last_stage_sees(model: Any) -> None:
    maps = model.forward_intermediates(images(), intermediates_only=True)
    torch.testing.assert_close(model.layer4(maps[3]), maps[4])
    torch.testing.assert_close(model.forward_head(maps[4]), model(images()))


def test_the_objective_adds_the_branchs_cross_entropy(model: Any) -> None:
    spec = default_registry().models["abn_resnet50"]
    assert spec.objective.endswith(":AttentionBranchLoss")
    labels, found = torch.tensor([0, 3]), model.attend(images())
    loss, _ = AttentionBranchLoss(model)(images(), labels, 0.0)
    expected = F.cross_entropy(found.logits, labels) + F.cross_entropy(found.branch_logits, labels)
    torch.testing.assert_close(loss, expected)
    wrong = AttentionBranchLoss(model).wrong(model, images(), found.logits.argmax(1))
    assert wrong["val_error"].item() == 0
    with pytest.raises(OptionError, match="no attention branch"):
        AttentionBranchLoss(torch.nn.Linear(2, 2))


def test_every_parameter_of_the_branch_learns(model: Any) -> None:
    network: Any = zoo.create_model("abn_resnet18", num_classes=4).train()
    AttentionBranchLoss(network)(images(), torch.tensor([0, 3]), 0.0)[0].backward()
    for name, parameter in network.branch.named_parameters():
        moved = parameter.grad is not None and parameter.grad.abs().max() > 0
        assert moved or "bn2.weight" in name or "bn_att.bias" in name, name


def test_another_number_of_classes_is_one_of_both(model: Any) -> None:
    network: Any = zoo.create_model("abn_resnet18", num_classes=4).eval()
    network.load_state_dict(model.state_dict())
    stage = network.branch.att_layer4
    network.reset_classifier(7)
    found = network.attend(images())
    assert found.logits.shape == found.branch_logits.shape == (2, 7)
    assert network.branch.att_layer4 is stage and list(network.layer3)[-1] is network.branch
    network.reset_classifier(0)
    assert network(images()).shape == (2, 512)
    assert network.attend(images()).branch_logits.shape == (2, 7)


def test_the_authors_names_are_carried_over(model: Any) -> None:
    """Their ResNet has timm's names, and the branch's beside them."""
    spec = default_registry().models["abn_resnet18"]
    theirs = {re.sub(r"^layer3\.attention\.", "", k): v for k, v in model.state_dict().items()}
    assert "att_conv3.weight" in theirs and "bn_att3.running_var" in theirs
    network: Any = zoo.create_model("abn_resnet18", num_classes=4).eval()
    carry_over(map_keys(spec.provenance.key_map, theirs, network, "class_based"), network)
    torch.testing.assert_close(network(images()), model(images()))
