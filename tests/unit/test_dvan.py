"""Diversified visual attention: what its equations determine, and its canvases."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from zoo_plugins.mechanisms.recurrent.dvan import diversity_loss
from zoo_plugins.networks.dvan.canvases import make_canvases, windows
from zoo_plugins.networks.dvan.network import DiversifiedAttentionLoss

import zoo
from zoo.errors import OptionError, UsageError
from zoo.registry import default_registry


def build(**options: Any) -> Any:
    torch.manual_seed(0)
    given = {"feat_size": (3, 4), "num_classes": 5, "hidden_size": 6, **options}
    return zoo.create_attention("dvan", 8, **given)


def test_the_steps_are_those_of_the_equations() -> None:
    module, x = build(), torch.randn(2, 3, 8, 3, 4)
    steps = module.attend(x)
    mean = x.mean((1, 3, 4))
    h, c = torch.tanh(module.init_h(mean)), torch.tanh(module.init_c(mean))
    for t in range(3):
        weights = module.where(h).softmax(1).view(2, 1, 3, 4)
        h, c = module.lstm((weights * x[:, t]).sum((2, 3)), (h, c))
        torch.testing.assert_close(steps.attention[:, t], weights[:, 0])
        torch.testing.assert_close(steps.hidden[:, t], h)
    torch.testing.assert_close(steps.attention.sum((2, 3)), torch.ones(2, 3))
    torch.testing.assert_close(module(x).exp(), steps.logits.softmax(2).mean(1))
    torch.testing.assert_close(module(x).exp().sum(1), torch.ones(2))


def test_one_map_is_looked_at_several_times() -> None:
    module, x = build(num_steps=4), torch.randn(2, 8, 3, 4)
    torch.testing.assert_close(module(x), module(x[:, None].expand(-1, 4, -1, -1, -1)))
    with pytest.raises(UsageError, match="shape"):
        module(torch.zeros(2, 8, 4, 4))


def test_diversity_is_bounded_and_ordered() -> None:
    places = torch.eye(12).view(12, 3, 4)
    assert diversity_loss(places[None, [0, 5, 0, 7]]).item() == 0
    assert diversity_loss(places[None, [4, 4, 4]]).item() == 1
    assert diversity_loss(places[None, [4, 4, 1]]).item() == 0.5
    assert diversity_loss(torch.full((2, 4, 3, 4), 1 / 12)).item() == pytest.approx(1 / 12)
    assert diversity_loss(places[None, :1]).item() == 0


def test_minimising_the_loss_parts_the_steps() -> None:
    module, x = build(num_steps=3), torch.randn(4, 8, 3, 4)
    optimiser = torch.optim.Adam(module.parameters(), 0.05)
    overlap = diversity_loss(module.look(x)[1])
    first = overlap.item()
    for _ in range(60):
        optimiser.zero_grad()
        overlap.backward()
        optimiser.step()
        overlap = diversity_loss(module.look(x)[1])
    assert overlap.item() < 0.1 * first


def test_canvases_go_from_the_whole_to_its_corners() -> None:
    boxes = windows((1.0, 0.6), (50, 100))
    assert boxes[0] == (0, 0, 50, 100)
    assert boxes[1:] == [(0, 0, 30, 60), (0, 40, 30, 60), (20, 0, 30, 60), (20, 40, 30, 60)]
    assert len(windows((0.3,), (64, 64))) == 16
    image = torch.arange(100.0).view(1, 1, 10, 10)
    canvases = make_canvases(image, (1.0, 0.6), (10, 10))
    assert torch.equal(canvases[:, 0], image)
    means = canvases[0, :, 0].mean((1, 2))
    expected = [
        image[0, 0, t : t + h, s : s + w].mean() for t, s, h, w in windows((0.6,), (10, 10))
    ]
    torch.testing.assert_close(means[1:], torch.stack(expected), atol=0.5, rtol=0)


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    return zoo.create_model("dvan_resnet18", num_classes=4, canvas_size=64, hidden_size=16).eval()


def test_the_network_is_a_classifier_that_shows_where(model: Any) -> None:
    images = torch.randn(2, 3, 80, 60)
    log_probs = model(images)
    torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(2))
    torch.testing.assert_close(log_probs, model.forward_head(model.forward_features(images)))
    maps = model.attention_maps(images)["attention"]
    assert maps.shape == (2, 5, 80, 60)
    assert maps[0, 1, 48:].abs().max().item() == 0  # the second canvas is the upper left one


def test_the_objective_is_every_steps_cross_entropy_and_the_overlap(model: Any) -> None:
    assert default_registry().models["dvan_vgg16"].objective.endswith("DiversifiedAttentionLoss")
    images, labels = torch.randn(2, 3, 64, 64), torch.tensor([0, 3])
    steps = model.attend(images)
    each = torch.stack([cross_entropy(steps.logits[:, t], labels) for t in range(5)])
    loss, scalars = DiversifiedAttentionLoss(model, diversity_weight=0.5)(images, labels, 0.0)
    overlap = diversity_loss(steps.attention)
    torch.testing.assert_close(loss, each.mean() + 0.5 * overlap)
    torch.testing.assert_close(scalars["overlap"], overlap)
    with pytest.raises(OptionError, match="no diversified attention"):
        DiversifiedAttentionLoss(torch.nn.Linear(2, 2))


def test_another_number_of_classes(model: Any) -> None:
    network: Any = zoo.create_model("dvan_resnet18", num_classes=4, canvas_size=64, hidden_size=16)
    network.reset_classifier(7)
    assert network.eval()(torch.randn(1, 3, 64, 64)).shape == (1, 7)
    network.reset_classifier(0)
    assert network(torch.randn(1, 3, 64, 64)).shape == (1, 16)


def test_vgg16_gives_seven_by_seven_positions() -> None:
    with torch.device("meta"):
        network: Any = zoo.create_model("dvan_vgg16", num_classes=4)
    assert network.attention.feat_size == (7, 7) and network.attention.channels == 512
