"""DRAM: where it looks, what it reads, and what its objective trains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from zoo_plugins.networks.dram.combine import combine
from zoo_plugins.networks.dram.glimpse import GlimpseNetwork
from zoo_plugins.networks.dram.reinforce import SequenceReinforce, reverse

import zoo
from zoo.errors import DataError, OptionError, UsageError
from zoo.training.objective import build_objective

SMALL: dict[str, Any] = {
    "patch_size": 9, "filters": (4, 4, 6), "glimpse_dim": 16, "cell_size": 12,
    "context_filters": (3, 3, 4),
}  # fmt: skip


def small(name: str = "dram_mnist_pairs", **options: Any) -> Any:
    torch.manual_seed(0)
    return zoo.create_model(name, **{**SMALL, **options})


def batch(model: Any, count: int = 4, size: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.rand(count, model.in_chans, size, size)
    return images, torch.randint(0, model.num_classes, (count, model.num_targets))


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("dram_svhn", {}, (6, 11)),
        ("dram_mnist_pairs", {"forward_backward": True}, (2, 10)),
        ("dram_mnist_addition", {"mc_samples": 3}, (19,)),
        ("dram_svhn", {"wiring": "port", "image_size": 40, "num_targets": 3}, (3, 11)),
        ("dram_svhn", {"read": "mean", "classifier_hidden": 8, "emission_hidden": 8}, (6, 11)),
    ],
)
def test_predictions_are_log_probabilities(
    name: str, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    model = small(name, **options)
    images, _ = batch(model)
    for training in (False, True):
        found = model.train(training)(images)
        assert found.shape == (4, *shape)
        if model.read == "last":
            torch.testing.assert_close(found.exp().sum(-1), torch.ones(found.shape[:-1]))
    assert model.sequence(images).ndim == 3
    path = model.glimpses(images)
    assert path.locations.shape == (model.num_glimpses, 4, 2)
    assert path.locations.abs().max() <= 1 and path.sides == (9, 18)


@pytest.mark.parametrize("forward_backward", [False, True])
@pytest.mark.parametrize("objective", [{}, {"mc_samples": 3, "reward": "gain"}])
def test_the_objective_reaches_every_parameter(
    objective: dict[str, Any], forward_backward: bool
) -> None:
    model = small(forward_backward=forward_backward, emission_hidden=5)
    images, labels = batch(model, 6)
    loss, _ = SequenceReinforce(model, **objective)(images, labels, 0.5)
    loss.backward()
    dead = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_the_port_s_emission_network_never_learns() -> None:
    for detach in (True, False):
        model = small(detach_mean=detach)
        images, labels = batch(model)
        SequenceReinforce(model, shared_baseline=False)(images, labels, 0.0)[0].backward()
        weight = model.reader().emission.mean.weight
        assert (weight.grad is None) == detach
        context = model.reader().context.conv1.weight
        assert (context.grad is None) == detach  # it learns from the policy alone


def test_any_loss_reaches_every_parameter_in_training() -> None:
    model = small("dram_svhn", num_targets=2).train()
    images, _ = batch(model)
    model(images).square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("side", [9, 10])
def test_the_port_s_patches_are_tensorflow_s(side: int) -> None:
    """Corner trunc(l W/2 + W/2 - side/2); every second pixel; stacked in height."""
    network = GlimpseNetwork(
        1, patch_size=side, num_scales=2, filters=(2, 2, 2), glimpse_dim=4, port=True
    )
    image = torch.rand(1, 1, 64, 50)
    location = torch.tensor([[0.13, -0.21]])  # x, y
    found = network.retina(image, location)[0, 0].numpy()
    rows = []
    for step in (1, 2):
        wide = side * step
        top = int(-0.21 * 32 + 32 - wide / 2)
        left = int(0.13 * 25 + 25 - wide / 2)
        rows.append(image[0, 0, top : top + wide : step, left : left + wide : step].numpy())
    np.testing.assert_array_equal(found, np.concatenate(rows))


def test_our_patches_are_centred_averages() -> None:
    network = GlimpseNetwork(2, patch_size=9, num_scales=3, filters=(2, 2, 2), glimpse_dim=4)
    image = torch.rand(3, 2, 40, 40)
    patches = network.retina(image, torch.zeros(3, 2))
    assert patches.shape == (3, 6, 9, 9)
    torch.testing.assert_close(patches[:, :2], image[:, :, 16:25, 16:25])
    wide = image[:, :, 20 - 13 : 20 + 14, 20 - 13 : 20 + 14]
    torch.testing.assert_close(patches[:, 4:], torch.nn.functional.avg_pool2d(wide, 3))


def test_a_sampled_prediction_is_the_log_of_the_mean_probability() -> None:
    model = small(mc_samples=5).eval()
    images, _ = batch(model)
    each = model.at_targets(model.rollout(images, model.draw_noise).log_probs)
    assert each.shape == (5, 4, 2, 10)
    torch.testing.assert_close(model(images), each.exp().mean(0).log())
    alone = model(images[1:2])
    torch.testing.assert_close(alone, model(images)[1:2], atol=1e-6, rtol=1e-5)
    model.set_sampling(mc_samples=1)
    one_pass = model.at_targets(model.rollout(images).log_probs)
    torch.testing.assert_close(model(images), one_pass)


def test_labels_are_read_backwards_up_to_the_end() -> None:
    labels = torch.tensor([[1, 2, 3, 10, 10], [4, 10, 10, 10, 10], [10] * 5, [1, 2, 3, 4, 5]])
    expected = [[3, 2, 1, 10, 10], [4, 10, 10, 10, 10], [10] * 5, [5, 4, 3, 2, 1]]
    assert reverse(labels, 10).tolist() == expected
    assert reverse(torch.tensor([[1, 9]]), None).tolist() == [[9, 1]]


def one_hot(labels: list[list[int]], classes: int) -> torch.Tensor:
    hot = torch.nn.functional.one_hot(torch.tensor(labels), classes).float()
    return (0.9 * hot + 0.1 / classes).log()


def test_both_readings_are_averaged_place_by_place() -> None:
    forward, backward = one_hot([[1, 2, 3, 10, 7]], 11), one_hot([[3, 2, 1, 10, 5]], 11)
    both = combine(forward, backward, end=True)
    torch.testing.assert_close(both[:, :4], forward[:, :4])
    torch.testing.assert_close(both[:, 4].exp(), (forward[:, 4].exp() + backward[:, 4].exp()) / 2)
    pair = combine(one_hot([[1, 2]], 10), one_hot([[2, 1]], 10), end=False)
    assert pair.argmax(-1).tolist() == [[1, 2]]
    torch.testing.assert_close(both.exp().sum(-1), torch.ones(1, 5))


def test_what_follows_the_end_counts_for_nothing() -> None:
    model = small("dram_svhn", num_targets=3)
    objective = SequenceReinforce(model, discount=1.0)
    images, _ = batch(model, 2)
    labels = torch.tensor([[3, 10, 10], [10, 10, 10]])
    losses = []
    for third in (10, 4):
        torch.manual_seed(3)
        changed = labels.clone()
        changed[:, 2] = third
        losses.append(float(objective(images, changed, 0.0)[0].detach()))
    assert losses[0] == losses[1]
    right = one_hot([[3, 10, 7], [10, 1, 2]], 11)
    assert not objective._wrong(right, labels).any()


def test_the_first_error_ends_the_curriculum() -> None:
    model = small("dram_svhn", num_targets=3)
    right = torch.tensor([[True], [False], [True]])[:, None]
    labels = torch.tensor([[1, 2, 3]])
    kept = SequenceReinforce(model, stop_at_error=True)._counts(labels, right)
    assert kept.flatten().tolist() == [1, 1, 0]
    assert SequenceReinforce(model)._counts(labels, right).flatten().tolist() == [1, 1, 1]


@pytest.mark.parametrize("discount", [1.0, 0.5])
def test_a_location_earns_what_follows_it(discount: float) -> None:
    model = small("dram_svhn", num_targets=2)  # three glimpses each
    objective = SequenceReinforce(model, reward="correct", discount=discount)
    right = torch.tensor([True, True]).view(2, 1, 1)
    counts = torch.ones(2, 1, 1)
    found = objective._returns(torch.zeros(2, 3, 1, 1), right, counts).flatten()
    d = discount
    expected = [d**2 + d**5, d + d**4, 1 + d**3, d**2, d, 1.0]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_it_learns_to_look_and_to_read() -> None:
    """One of two patterns in one of four corners, too far apart for one glimpse."""
    model = small("dram_mnist_addition", num_classes=2, num_scales=1, glimpses_per_target=2)
    objective = SequenceReinforce(model, std=(0.3, 0.1), mc_samples=4)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    images, labels = corners(400)
    start = float(objective.wrong(model.eval(), images, labels)["val_error"]) / 400
    for step in range(80):
        index = torch.randint(0, 400, (24,))
        loss, _ = objective(images[index], labels[index], step / 80)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    wrong = float(objective.wrong(model.eval(), images, labels)["val_error"]) / 400
    assert start > 0.4 and wrong < 0.3


def corners(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(count) % 2
    stripes = torch.zeros(2, 9, 9)
    stripes[0, ::3], stripes[1, :, ::3] = 1.0, 1.0
    images = torch.zeros(count, 1, 36, 36)
    place = torch.randint(0, 2, (count, 2)) * 18 + 4
    for image, label, (y, x) in zip(images, labels.tolist(), place.tolist(), strict=True):
        image[0, y : y + 9, x : x + 9] = stripes[label]
    return images, labels


def test_labels_that_do_not_fit_are_refused() -> None:
    pairs, house = SequenceReinforce(small()), SequenceReinforce(small("dram_svhn"))
    assert house.labels(torch.tensor([[1, 2]])).tolist() == [[1, 2, 10, 10, 10, 10]]
    assert house.labels(torch.tensor([[1, 10, 10, 10, 10, 10, 10]])).shape == (1, 6)
    for objective, labels in ((pairs, [[1]]), (pairs, [[1, 2, 3]]), (house, [[1] * 7])):
        with pytest.raises(DataError, match="targets"):
            objective.labels(torch.tensor(labels))


@pytest.mark.parametrize(
    "wrong",
    [
        {"patch_size": 8},
        {"filters": (4, 4)},
        {"context_size": 8},
        {"wiring": "other"},
        {"wiring": "port", "image_size": 8, "context_size": None},
        {"in_chans": 1, "channels": 3},
        {"std": -0.1},
        {"read": "first"},
        {"num_targets": 0},
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        small(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"std": (0.1,)}, {"reward": "none"}, {"discount": 2}, {"mc_samples": 0}, {"no_option": 1}],
)
def test_an_objective_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(wrong))):
        build_objective(SequenceReinforce, small(), wrong)
    with pytest.raises(OptionError, match="no sequence"):
        SequenceReinforce(torch.nn.Linear(1, 1))


def test_an_image_of_other_channels_is_refused() -> None:
    with pytest.raises(UsageError, match="image"):
        small()(torch.rand(1, 3, 40, 40))
    with pytest.raises(UsageError, match="smaller than a glimpse"):
        zoo.create_model("dram_mnist_pairs")(torch.rand(1, 1, 11, 100))
    with pytest.raises(UsageError, match="40, 40"):
        small("dram_svhn", wiring="port", image_size=40)(torch.rand(1, 1, 41, 40))
