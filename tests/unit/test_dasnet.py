"""dasNet: its search, its gates, and a policy found for a trained network."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from zoo_plugins.mechanisms.reinforcement.dasnet import DasNet, FilterPolicy
from zoo_plugins.mechanisms.reinforcement.dasnet_snes import Snes, utilities
from zoo_plugins.networks.dasnet.network import DasNetwork
from zoo_plugins.networks.dasnet.search import PolicySearch

import zoo
from zoo.errors import OptionError, UsageError

SMALL: dict[str, Any] = {"base_options": {"widths": (3, 4, 5), "fc": 6}, "steps": 2}


def small(**options: Any) -> Any:
    torch.manual_seed(0)
    return zoo.create_model("dasnet_cifar10", **{**SMALL, **options}).eval()


def test_utilities_reward_the_better_half_and_sum_to_nothing() -> None:
    u = utilities(torch.tensor([0.1, 3.0, -2.0, 0.5, 9.0, 0.2], dtype=torch.float64))
    assert abs(float(u.sum())) < 1e-12
    assert u.argmax() == 4 and float(u[2]) == float(u[0]) == pytest.approx(-1 / 6)
    tied = utilities(torch.zeros(5, dtype=torch.float64))
    assert tied.argmax() == 4  # of equals the later one


def test_the_search_finds_a_maximum() -> None:
    torch.manual_seed(0)
    search, goal = Snes(8), torch.linspace(-1, 1, 8)
    mean, sigma = torch.zeros(8), torch.ones(8)
    for _ in range(150):
        noise = torch.randn(search.population, 8)
        theta = search.sample(mean, sigma, noise)
        _, _, mean, sigma = search.step(mean, sigma, noise, -(theta - goal).square().sum(1))
    torch.testing.assert_close(mean, goal, atol=0.02, rtol=0)
    assert sigma.max() < 0.1


def test_the_defaults_follow_from_the_number_of_parameters() -> None:
    search = Snes(1000)
    assert search.population == 24
    assert search.sigma_lr == pytest.approx((3 + math.log(1000)) / (5 * math.sqrt(1000)))


def test_a_layer_scales_each_map_and_starts_at_the_identity() -> None:
    layer = DasNet(6)
    x = torch.randn(3, 6, 4, 5)
    assert torch.equal(layer(x), x)
    policy = layer.policy
    assert policy is not None
    torch.nn.init.normal_(policy.theta)
    gates = policy(x.mean((2, 3)))
    torch.testing.assert_close(gates.mean(1), torch.ones(3))
    torch.testing.assert_close(layer(x), x * gates[:, :, None, None])


@pytest.mark.parametrize("base", ["", "resnet18"])
def test_without_a_policy_every_pass_is_the_base(base: str) -> None:
    options = {"base": base, "base_options": {}} if base else {}
    model = small(**options)
    x = torch.rand(2, 3, 32, 32)
    passes = model.passes(x)
    assert passes.shape == (3, 2, 10)
    for output in passes:
        torch.testing.assert_close(output, model.base(x), atol=1e-5, rtol=1e-4)
    assert torch.equal(model(x), passes[-1])


def test_a_pass_is_gated_by_what_was_seen_in_the_one_before() -> None:
    model = small()
    torch.nn.init.normal_(model.policy.theta)
    x = torch.rand(2, 3, 32, 32)
    gates = model.gates(x)
    assert gates.shape == (3, 2, 12) and bool((gates[0] == 1).all())

    def run(gate: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y, means = x, []
        for block, part in zip(model.base.features, gate.split((3, 4, 5), 1), strict=True):
            y = block(y) * part[..., None, None]
            means.append(y.mean((2, 3)))
        return model.base.forward_head(y), torch.cat(means, 1)

    for step in range(3):
        logits, observed = run(gates[step])
        torch.testing.assert_close(model.passes(x)[step], logits)
        if step < 2:
            torch.testing.assert_close(gates[step + 1], model.policy(observed))
    assert not list(model.base.features[0]._forward_hooks)


def test_the_feature_maps_of_any_layers_can_be_gated() -> None:
    model = small(base="resnet18", base_options={}, layers=["layer1.0.conv1", "layer4"])
    assert model.widths == (64, 512) and model.policy.theta.shape == (576, 576)


def test_one_step_of_sgd_at_rate_one_is_one_step_of_snes() -> None:
    model = small().double()
    images, labels = torch.rand(6, 3, 32, 32).double(), torch.arange(6)
    objective = PolicySearch(model, population=4)
    before, sigma = model.policy.theta.detach().flatten().clone(), model.sigma.clone()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 1.0)
    torch.manual_seed(5)
    loss, _ = objective(images, labels, 0.0)
    loss.backward()
    optimizer.step()
    torch.manual_seed(5)
    noise = torch.randn(4, len(before)).double()
    fitness = []
    other = small().double()
    for row in before + sigma * noise:
        other.policy.theta.data = row.view_as(other.policy.theta)
        each = F.cross_entropy(other(images), labels, reduction="none").detach()
        right = other.base(images).argmax(-1) == labels
        fitness.append(-(torch.where(right, 0.005, 1.0) * each).mean())
    found = objective.search.step(before, sigma, noise, torch.stack(fitness))
    torch.testing.assert_close(model.policy.theta.detach().flatten(), found.mean)
    torch.testing.assert_close(model.sigma, found.sigma)


def test_a_policy_is_found_that_mends_a_network() -> None:
    """After training, one filter shouts; the policy that is found turns it down."""
    torch.manual_seed(0)
    options = {"widths": (4, 4, 4), "fc": 8, "drop_rate": 0.0}
    model: Any = zoo.create_model(
        "dasnet_cifar10", img_size=16, steps=1, sigma=0.3, base_options=options
    )
    labels = torch.arange(16) % 2
    images = torch.rand(16, 3, 16, 16) * 0.2
    images[labels == 1, 0] += 0.5
    minimise(PolicySearch(model, phase="base"), images, labels, torch.optim.Adam, 3e-3, 30)
    with torch.no_grad():
        model.base.features[2][1].bias[:2] += 30.0
    before = F.cross_entropy(model.eval()(images), labels).detach()
    search = PolicySearch(model, boost=(1.0, 1.0))
    minimise(search, images, labels, torch.optim.SGD, 1.0, 30)
    after = F.cross_entropy(model(images), labels).detach()
    assert before > 0.5 and after < 0.7 * before


def minimise(objective: Any, images: Any, labels: Any, kind: Any, lr: float, steps: int) -> None:
    optimizer = kind([p for p in objective.model.parameters() if p.requires_grad], lr)
    for _ in range(steps):
        loss, _ = objective(images, labels, 0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize(
    "wrong", [{"layers": ["absent"]}, {"layers": []}, {"steps": -1}, {"layers": ["hidden"]}]
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        small(**wrong)


def test_a_search_alone_gates_nothing() -> None:
    with pytest.raises(OptionError, match="channels"):
        DasNet()
    with pytest.raises(OptionError, match="36 parameters"):
        DasNet(6, num_params=17)
    with pytest.raises(UsageError, match="search alone"):
        DasNet(num_params=17)(torch.rand(1, 2, 3, 3))
    with pytest.raises(OptionError, match="default_population"):
        zoo.create_attention("dasnet", num_params=17, default_population=13)
    with pytest.raises(OptionError, match="no policy"):
        PolicySearch(FilterPolicy(3))
    assert isinstance(small(), DasNetwork)
