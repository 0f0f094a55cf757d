"""RAM: a fixed function in eval, an honest estimator in training, the port's checkpoints."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from zoo_plugins.networks.ram.authors import AUTHORS_NAMES, from_authors
from zoo_plugins.networks.ram.ram import RecurrentAttention
from zoo_plugins.networks.ram.reinforce import Reinforce

import zoo
from zoo.errors import OptionError, UsageError, WeightsMismatchError

SMALL = {"glimpse_hidden": 12, "location_hidden": 12, "hidden_size": 20, "patch_size": 4}


def small(**options) -> RecurrentAttention:
    torch.manual_seed(0)
    return RecurrentAttention(**{**SMALL, "num_glimpses": 4, **options})


def test_a_prediction_is_a_fixed_function_of_its_image():
    model, images = small().eval(), torch.rand(5, 1, 28, 28)
    before = torch.get_rng_state()
    first = model(images)
    torch.manual_seed(123)
    assert torch.equal(first, model(images))
    torch.testing.assert_close(first[3:4], model(images[3:4]), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(first.flip(0), model(images.flip(0)), rtol=1e-5, atol=1e-6)
    torch.set_rng_state(before)
    model(images)
    assert torch.equal(before, torch.get_rng_state())


def test_seed_and_number_of_rollouts_define_the_prediction():
    model, images = small().eval(), torch.rand(3, 1, 28, 28)
    first = model(images)
    model.set_sampling(seed=1)
    assert not torch.equal(first, model(images))
    model.set_sampling(mc_samples=1)
    assert torch.equal(model(images), model.rollout(images).log_probs)


def test_a_prediction_is_the_log_of_the_mean_probability():
    model, images = small(mc_samples=6).eval(), torch.rand(3, 1, 28, 28)
    states = model.forward_features(images)
    assert states.shape == (3, 6, 20)
    each = model.classifier(states).softmax(-1)
    torch.testing.assert_close(model(images), each.mean(1).log())
    torch.testing.assert_close(model(images).exp().sum(1), torch.ones(3))


def test_the_exported_model_predicts_the_same():
    model, images = small().eval(), torch.rand(3, 1, 28, 28)
    exported = torch.export.export(model, (images,)).module()
    torch.testing.assert_close(exported(images), model(images))


def test_a_rollout_says_where_it_looked():
    model, images = small(first_location=(0.25, -0.5)).eval(), torch.rand(3, 1, 28, 28)
    episode = model.rollout(images)
    assert episode.path.shape == (4, 3, 2)
    assert episode.path[0].tolist() == [[0.25, -0.5]] * 3
    assert torch.equal(episode.path[1:], episode.location[:-1])
    assert episode.path.abs().max() <= 1


def test_the_location_density_is_that_of_a_gaussian():
    model, images = small(std=0.3), torch.rand(2, 1, 28, 28)
    noise = torch.randn(4, 2, 2)
    episode = model.rollout(images, noise=noise)
    sample = episode.location_mean + 0.3 * noise
    normal = torch.distributions.Normal(episode.location_mean, 0.3)
    torch.testing.assert_close(episode.log_pi, normal.log_prob(sample).sum(-1))


@pytest.mark.parametrize("options", [{}, {"std": 0.0}, {"num_classes": 0}])
def test_training_mode_reaches_every_parameter(options):
    model = small(**options).train()
    model(torch.rand(4, 1, 28, 28)).mean().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_the_policy_gradient_is_that_of_the_expected_output():
    """The score-function estimate against a finite difference of the expectation."""
    model = small(num_glimpses=2, std=0.4).double().train()
    image = torch.rand(1, 1, 12, 12, dtype=torch.float64)
    bias, draws = model.locator.mean.bias, 60_000

    def expected(shift: float) -> float:
        torch.manual_seed(1)
        with torch.no_grad():
            bias[0] += shift
            start = torch.zeros(draws, 2, dtype=torch.float64)
            noise = torch.randn(2, draws, 2, dtype=torch.float64)
            value = model.rollout(image.expand(draws, -1, -1, -1), start, noise).log_probs
            bias[0] -= shift
        return float((value[:, 5] - value[:, 1]).mean())

    model.first_spread = 0.0
    torch.manual_seed(2)
    output = model(image.expand(draws, -1, -1, -1))
    output = (output[:, 5] - output[:, 1]).mean()
    estimate = float(torch.autograd.grad(output, bias)[0][0])
    slope = (expected(0.1) - expected(-0.1)) / 0.2
    assert abs(slope) > 0.1
    assert estimate == pytest.approx(slope, rel=0.1)


@pytest.mark.parametrize("reward", ["correct", "gain"])
def test_training_learns_where_to_look(reward):
    """The class is a bright side; from the blank centre only the right policy sees it."""
    torch.manual_seed(0)
    model = small(num_glimpses=2, num_classes=2, patch_size=8, first_spread=0.0).train()
    objective = Reinforce(model, std=(0.5, 0.2), reward=reward, fixed_start=1.0)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    targets = torch.randint(2, (128,))
    images = torch.zeros(128, 1, 28, 28)
    images[:, :, 10:18, 20:28] = targets.view(-1, 1, 1, 1).float()
    for step in range(100):
        loss, _ = objective(images, targets, step / 100)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    assert int(objective.wrong(model, images, targets)["val_error_one_pass"]) == 0


@pytest.mark.parametrize("discount", [0.0, 0.3, 1.0])
def test_a_location_earns_the_gains_that_follow_it_each_one_discounted(discount):
    """Two images, three glimpses; gains in log p(label) are written out by hand."""
    known = torch.tensor([[0.1, 0.5], [0.2, 0.4], [0.8, 0.6]])  # p(label): glimpse, image
    logits = torch.stack((known, 1 - known), -1).log()
    objective = Reinforce(small(num_glimpses=3, num_classes=2), reward="gain", discount=discount)
    earned = objective._rewards(logits, torch.zeros(2).long())
    first, second = (known[1] / known[0]).log(), (known[2] / known[1]).log()
    torch.testing.assert_close(earned, torch.stack((first + discount * second, second)))


def test_a_share_of_the_policy_gradient_reaches_the_core():
    """Linear in the share, the loss and what the location network learns stay the same."""

    def trained(share: float) -> tuple[Tensor, Tensor, Tensor]:
        model = small().double().train()
        objective = Reinforce(model, policy_to_core=share)
        torch.manual_seed(1)
        images = torch.rand(6, 1, 28, 28, dtype=torch.float64)
        loss, _ = objective(images, torch.arange(6), 0.5)
        learning = (model.core.h2h.weight, model.locator.mean.weight)
        return loss, *torch.autograd.grad(loss, learning)

    (loss, core, locator), half, whole = (trained(share) for share in (0.0, 0.5, 1.0))
    assert loss == half[0] == whole[0]
    torch.testing.assert_close(half[2], locator)
    torch.testing.assert_close(half[1], (core + whole[1]) / 2)
    assert (whole[1] - core).norm() > 0.1 * core.norm()


def test_a_start_anywhere_covers_the_image_whatever_the_spread():
    model = small(num_glimpses=2, first_spread=0.1)
    start = model.from_anywhere(torch.rand(400, 1, 28, 28), torch.Generator().manual_seed(0))
    x, y = start.path[0].unbind(-1)
    for axis in (x, y):
        assert axis.min() < -0.95 and axis.max() > 0.95 and abs(float(axis.mean())) < 0.1


def test_checkpointed_gradients_are_the_same():
    grads = []
    for enable in (False, True):
        model = small().train()
        model.set_grad_checkpointing(enable)
        torch.manual_seed(1)
        model(torch.rand(2, 1, 28, 28)).mean().backward()
        grads.append(model.core.i2h.weight.grad)
    torch.testing.assert_close(*grads)


def test_the_classifier_can_be_replaced_and_removed():
    model, images = small().eval(), torch.rand(2, 1, 28, 28)
    model.reset_classifier(7)
    assert model(images).shape == (2, 7)
    model.reset_classifier(0)
    assert model(images).shape == (2, model.num_features) == (2, 20)
    assert model.forward_head(model.forward_features(images), pre_logits=True).shape == (2, 20)


def test_other_sizes_and_low_precision():
    model = small(num_patches=2, in_chans=3).eval()
    assert model(torch.rand(2, 3, 20, 36)).shape == (2, 10)
    half = model.to(torch.bfloat16)(torch.rand(2, 3, 20, 36, dtype=torch.bfloat16))
    assert half.isfinite().all()


def authors_state(model: RecurrentAttention, hidden: bool) -> dict[str, torch.Tensor]:
    names = {ours: theirs for theirs, ours in AUTHORS_NAMES.items()}
    names["locator.hidden" if hidden else "locator.mean"] = "locator.fc"
    if hidden:
        names["locator.mean"] = "locator.fc_lt"
    split = {key: key.rpartition(".") for key in model.state_dict()}
    return {f"{names[m]}.{leaf}": model.state_dict()[k] for k, (m, _, leaf) in split.items()}


@pytest.mark.parametrize("hidden", [True, False])
def test_checkpoints_of_the_port_load_old_and_new(hidden):
    model = small(locator_hidden=None if hidden else 0)
    theirs = authors_state(model, hidden)
    assert "locator.fc.weight" in theirs and "rnn.i2h.weight" in theirs
    other = small(locator_hidden=None if hidden else 0, seed=5)
    other.load_state_dict(from_authors(theirs, other))
    assert all(
        torch.equal(p, q) for p, q in zip(model.parameters(), other.parameters(), strict=True)
    )
    wrong = small(locator_hidden=0 if hidden else None)
    with pytest.raises(WeightsMismatchError, match="locator_hidden"):
        from_authors(theirs, wrong)


def test_old_checkpoints_bound_samples_by_tanh():
    model, images = small(squash="tanh", std=0.5), torch.rand(2, 1, 28, 28)
    noise = torch.randn(4, 2, 2)
    episode = model.rollout(images, noise=noise)
    torch.testing.assert_close(episode.location, (episode.location_mean + 0.5 * noise).tanh())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"in_chans": 1, "channels": 3}, "in_chans"),
        ({"scale": 2, "glimpse_scale": 3}, "scale"),
        ({"location_hidden": 8, "loc_hidden": 9}, "location_hidden"),
        ({"img_size": 28, "image_size": 60}, "img_size"),
        ({"std": -0.1}, "std"),
        ({"std": math.nan}, "std"),
        ({"num_glimpses": 0}, "num_glimpses"),
        ({"mc_samples": 0}, "mc_samples"),
        ({"first_location": (0.0, 2.0)}, "first_location"),
        ({"squash": "none"}, "squash"),
    ],
)
def test_impossible_settings_are_named(options, named):
    with pytest.raises(OptionError, match=named):
        zoo.create_model("ram_28", **options)


@pytest.mark.parametrize("name", ["ram_mnist", "ram_28", "ram_60", "ram_100"])
def test_named_models_are_built(name):
    model = zoo.create_model(name).eval()
    images = torch.rand(2, *model.pretrained_cfg["input_size"])
    assert F.softmax(model(images), -1).shape == (2, 10)
    again = zoo.create_model(name, channels=3, glimpse_scale=3, image_size=40)
    assert again.in_chans == 3
    with pytest.raises(OptionError):
        zoo.create_model(name, channels=3, in_chans=1)


@pytest.mark.parametrize(
    ("image", "start", "message"),
    [
        (torch.rand(2, 1, 6, 28), None, "smaller than a glimpse"),
        (torch.rand(2, 3, 28, 28), None, "shape"),
        (torch.rand(1, 28, 28), None, "shape"),
        (torch.rand(2, 1, 28, 28), torch.tensor([[0.0, 1.5], [0.0, 0.0]]), "reaches 1.5"),
    ],
)
def test_what_cannot_be_looked_at(image: Tensor, start: Tensor | None, message: str) -> None:
    model = zoo.create_model("ram_28").eval()
    with pytest.raises(UsageError, match=message):
        model.rollout(image, start)
    sensor = zoo.create_attention("glimpse_sensor", 1)
    with pytest.raises(UsageError, match=message):
        sensor(image, torch.zeros(len(image), 2) if start is None else start)
