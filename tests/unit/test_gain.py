"""Guided attention inference: Grad-CAM's closed form, its limits, and how it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from zoo_plugins.mechanisms.class_based.gain import Guidance, attention_mining
from zoo_plugins.mechanisms.class_based.grad_cam import grad_cam, min_max
from zoo_plugins.networks.gain.resnet import GuidedAttentionLoss

import zoo
from zoo.errors import OptionError, UsageError
from zoo.registry import default_registry


@pytest.fixture
def module() -> Any:
    torch.manual_seed(0)
    return zoo.create_attention("gain", 3, widths=(4, 6), num_classes=3, dtype=torch.float64)


def images(seed: int = 1) -> torch.Tensor:
    return torch.randn(2, 3, 8, 10, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("labels", [None, [0, 2]])
def test_behind_a_mean_and_a_linear_layer_it_is_cam(module: Any, labels: Any) -> None:
    """Zhou et al. 2016: the channel weights are the class's row of the classifier, over H W."""
    features = module.features(images())
    cam = grad_cam(features, module.head, labels)
    chosen = torch.tensor(labels) if labels else module(images()).argmax(1)
    weights = module.fc.weight[chosen] / (4 * 5)
    torch.testing.assert_close(cam.weights, weights)
    expected = torch.relu((weights[:, :, None, None] * features).sum(1, keepdim=True))
    torch.testing.assert_close(cam.attention, expected)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_explains_where_no_gradient_is_wanted(module: Any, mode: Any) -> None:
    expected = module.attend(images())
    with mode():
        found = module.attend(images())
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
        assert not ours.requires_grad
    assert all(p.grad is None for p in module.parameters())


def test_the_loss_trains_the_map_itself(module: Any) -> None:
    """The gradient of the mining loss, through A and w, is that of finite differences."""
    x, labels = images(), torch.tensor([0, 2])

    def loss() -> torch.Tensor:
        return attention_mining(module.attend(x, labels).logits_masked, labels)

    loss().backward()
    for parameter in module.parameters():
        at = int(parameter.grad.abs().argmax())
        flat, step = parameter.detach().view(-1), 1e-6
        before = flat[at].item()
        flat[at] = before + step
        high = loss().item()
        flat[at] = before - step
        low = loss().item()
        flat[at] = before
        slope = (high - low) / (2 * step)
        assert parameter.grad.view(-1)[at].item() == pytest.approx(slope, rel=1e-4, abs=1e-9)


def test_a_steep_threshold_cuts_the_attention_out() -> None:
    attention = torch.tensor([[[[0.0, 0.2], [0.8, 1.0]]]])
    mask = Guidance(omega=1e4, sigma=0.5, normalize=False).soft_mask(attention)
    torch.testing.assert_close(mask, torch.tensor([[[[0.0, 0.0], [1.0, 1.0]]]]))
    flat = Guidance(omega=1e-9).soft_mask(attention)
    torch.testing.assert_close(flat, torch.full_like(attention, 0.5))


def test_each_image_is_normalised_by_itself() -> None:
    maps = torch.rand(3, 1, 4, 4) * torch.tensor([1.0, 100.0, 0.0]).view(3, 1, 1, 1)
    found = min_max(maps)
    for scaled, was in zip(found[:2], maps[:2], strict=True):
        torch.testing.assert_close(scaled, (was - was.min()) / (was.max() - was.min()))
    assert torch.equal(found[2], torch.zeros(1, 4, 4))


def test_labels_that_are_no_classes_are_refused(module: Any) -> None:
    for labels in ([0], [0, 3], [-1, 0]):
        with pytest.raises(UsageError, match="labels"):
            module.attend(images(), labels)


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(0)
    return zoo.create_model("gain_resnet18", num_classes=3).eval()


def test_the_network_is_timms(network: Any) -> None:
    plain = timm.create_model("resnet18", num_classes=3).eval()
    plain.load_state_dict(network.state_dict())
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(network(x), plain(x))


def test_weights_for_other_classes_give_a_new_classifier(network: Any, tmp_path: Path) -> None:
    file = tmp_path / "three.safetensors"
    save_file(network.state_dict(), file)
    other: Any = zoo.create_model("gain_resnet18", num_classes=7, weights=file).eval()
    x = torch.randn(2, 3, 64, 64)
    assert other(x).shape == (2, 7)
    torch.testing.assert_close(other.forward_features(x), network.forward_features(x))


def test_the_network_explains_the_class_it_names(network: Any) -> None:
    x = torch.randn(2, 3, 64, 96)
    maps = network.attention_maps(x)
    assert set(maps) == {"attention"} and maps["attention"].shape == (2, 1, 64, 96)
    named = network.attention_maps(x, network(x).argmax(1))
    torch.testing.assert_close(maps, named)
    with pytest.raises(OptionError, match="no class"):
        zoo.create_model("gain_resnet18", num_classes=0).attention_maps(x)  # type: ignore[operator]


def test_the_objective_is_cross_entropy_and_what_is_left(network: Any) -> None:
    assert default_registry().models["gain_resnet50"].objective.endswith("GuidedAttentionLoss")
    x, labels = torch.randn(2, 3, 64, 64), torch.tensor([0, 2])
    found = network.attend(x, labels)
    left = found.logits_masked.softmax(1)[[0, 1], labels].mean()
    loss, scalars = GuidedAttentionLoss(network, mining_weight=0.5)(x, labels, 0.0)
    torch.testing.assert_close(loss, F.cross_entropy(network(x), labels) + 0.5 * left)
    torch.testing.assert_close(scalars["attention_mining"], left.detach())
    wrong = GuidedAttentionLoss(network).wrong(network, x, network(x).argmax(1))
    assert wrong["val_error"].item() == 0
