"""Sets: the set transformer, slots, the Perceiver and SCOUTER's head against what defines them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor
from zoo_plugins.mechanisms.multimodal.fourier import interleaved_features, stacked_features
from zoo_plugins.mechanisms.multimodal.perceiver_authors import from_authors

import zoo
from zoo.errors import OptionError, UsageError

CASES = Path(__file__).parents[1] / "reference" / "cases"


def build(name: str, channels: int | None = 32, **options: Any) -> Any:
    torch.manual_seed(0)
    return zoo.create_attention(name, channels, **options).eval()


def randn(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ["sab", "isab"])
@torch.no_grad()
def test_blocks_are_equivariant(name: str) -> None:
    module, x, order = build(name, layer_norm=True), randn(2, 9, 32), torch.randperm(9)
    torch.testing.assert_close(module(x[:, order]), module(x)[:, order])


@pytest.mark.parametrize(
    ("name", "options"), [("pma", {"num_seeds": 3}), ("slot", {}), ("perceiver", {})]
)
@torch.no_grad()
def test_poolings_are_invariant(name: str, options: dict[str, Any]) -> None:
    module, x, order = build(name, **options), randn(2, 9, 32), torch.randperm(9)
    torch.testing.assert_close(module(x[:, order]), module(x), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_mab_by_one_head_at_a_time() -> None:
    module = build("mab", num_heads=4, dim_q=5, dim_k=7)
    query, memory = randn(1, 3, 5), randn(1, 6, 7, seed=2)
    q, k, v = module.fc_q(query)[0], module.fc_k(memory)[0], module.fc_v(memory)[0]
    heads = []
    for head in range(4):
        part = slice(8 * head, 8 * head + 8)
        weights = (q[:, part] @ k[:, part].T / 32**0.5).softmax(1)
        heads.append(q[:, part] + weights @ v[:, part])
    y = torch.cat(heads, 1)
    torch.testing.assert_close(module(query, memory)[0], y + module.fc_o(y).relu())


@torch.no_grad()
def test_a_memory_that_is_all_absent_adds_nothing() -> None:
    module, query, memory = build("mab"), randn(2, 3, 32), randn(2, 6, 32)
    found = module(query, memory, torch.zeros(2, 6, dtype=torch.bool))
    q = module.fc_q(query)
    torch.testing.assert_close(found, q + module.fc_o(q).relu())


@torch.no_grad()
def test_slots_are_what_was_drawn_for_them() -> None:
    """Slots have no order but that of their noise; another number of slots needs no training."""
    module, x, noise = build("slot"), randn(2, 9, 32), randn(2, 7, 32, seed=4)
    order = torch.randperm(7)
    torch.testing.assert_close(module(x, noise=noise[:, order]), module(x, noise=noise)[:, order])
    assert module(x, num_slots=3).shape == (2, 3, 32)
    shares = module.explain(x)[1]
    torch.testing.assert_close(shares.sum(1), torch.ones(2, 9))
    with pytest.raises(UsageError, match="noise"):
        module(x, noise=noise[:1])


@torch.no_grad()
def test_slots_in_eval_do_not_move_chance_and_in_training_follow_the_generator() -> None:
    module, x = build("slot"), randn(3, 9, 32)
    torch.testing.assert_close(module(x)[1:2], module(x[1:2]))
    assert not torch.allclose(module(x), build("slot", seed=1)(x))
    module.train()
    first, second = (module(x, generator=torch.Generator().manual_seed(i)) for i in (1, 2))
    again = module(x, generator=torch.Generator().manual_seed(1))
    assert torch.equal(first, again) and not torch.allclose(first, second)


def test_fourier_features_of_both_orders_are_the_same_numbers() -> None:
    like, size = torch.zeros(1), (5, 8)
    mixed = interleaved_features(size, 3, 8.0, like)
    stacked = stacked_features(size, 3, (8, 8), like)
    assert mixed.shape == stacked.shape == (5, 8, 14)
    rows, columns = mixed.split(7, 2)
    parts = (slice(6, 7), slice(0, 3), slice(3, 6))  # position, sines, cosines
    expected = torch.cat([axis[..., part] for part in parts for axis in (rows, columns)], 2)
    torch.testing.assert_close(stacked, expected)
    torch.testing.assert_close(mixed[:, 0, 6], torch.linspace(-1, 1, 5))
    torch.testing.assert_close(mixed[1, 0, 1], torch.sin(torch.tensor(-0.5 * torch.pi * 2.5)))


@torch.no_grad()
def test_tied_layers_are_layers_with_the_same_weights() -> None:
    file = load_file(CASES / "perceiver.base.safetensors")
    state = {k.removeprefix("state."): v for k, v in file.items() if k.startswith("state.")}
    again = {re.sub(r"^layers\.1\.", "layers.2.", k): v for k, v in state.items()}
    options: dict[str, Any] = {
        "input_axis": 2, "num_latents": 8, "dim": 24, "num_freq_bands": 4,
        "cross_head_dim": 16, "latent_heads": 4, "latent_head_dim": 8, "num_classes": 10,
    }  # fmt: skip
    logits = []
    for tie in (True, False):
        module = build("perceiver", 3, depth=3, weight_tie=tie, **options)
        assert len(module.cross) == (2 if tie else 3)
        module.load_state_dict(from_authors({**state, **again}, module))
        logits.append(module.logits(module(file["input.x"])))
    torch.testing.assert_close(logits[0], logits[1])
    assert not torch.allclose(logits[0], file["output.logits"], atol=1e-3)


def test_a_perceiver_of_two_makers_is_refused() -> None:
    with pytest.raises(OptionError, match="official"):
        build("perceiver", depth=2, num_blocks=2)
    with pytest.raises(OptionError, match="contradict"):
        build("perceiver", input_axis=1, feat_size=(4, 4))
    with pytest.raises(UsageError, match="2 axes"):
        build("perceiver", feat_size=(4, 4))(randn(1, 16, 32))


@torch.no_grad()
def test_a_class_is_the_sum_of_its_slots() -> None:
    """Two slots of a class that are alike say twice what one says."""
    one = build("xslot", 16, num_classes=3, dim=8, iters=1)
    two = build("xslot", 16, num_classes=3, dim=8, iters=1, slots_per_class=2)
    assert two.slots.weight.shape == (3, 2, 8)
    state = one.state_dict()
    state["slots.weight"] = state["slots.weight"].repeat(1, 2, 1)
    two.load_state_dict(state)
    x = randn(2, 16, 5, 4)
    values = one.conv1x1(x).relu().flatten(2)
    logits, shares = one.explain(x)
    expected = torch.einsum("bcn,bdn->bc", shares.flatten(2), values) / 8
    torch.testing.assert_close(logits, expected)
    assert not torch.allclose(two(x), one(x))  # slots share one normalisation
    torch.testing.assert_close(two.explain(x)[0], 2 * _row(two, x))


def _row(module: Any, x: Tensor) -> Tensor:
    """What the first slot of each class says."""
    shares = module.explain(x)[1][:, ::2].flatten(2)
    values = module.conv1x1(x).relu().flatten(2)
    return torch.einsum("bcn,bdn->bc", shares, values) / module.dim


@torch.no_grad()
def test_negative_explanations_only_turn_the_sign() -> None:
    x = randn(2, 16, 5, 4)
    positive, negative = (build("xslot", 16, dim=8, loss_status=s) for s in (1, -1))
    torch.testing.assert_close(positive(x), -negative(x))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"num_slots": 7}, "num_slots"),
        ({"num_slots": 20, "slots_per_class": 3}, "contradict"),
        ({"dim": 6}, "dim"),
        ({"position": "learned"}, "position"),
        ({"loss_status": 0}, "loss_status"),
    ],
)
def test_heads_that_cannot_be(options: dict[str, Any], word: str) -> None:
    with pytest.raises(OptionError, match=word):
        build("xslot", 16, **options)


@torch.no_grad()
def test_sine_positions_are_the_transformers_on_each_axis() -> None:
    """Rows in the first half, columns in the second; sine and cosine by turns."""
    module, x = build("xslot", 16, dim=16), torch.zeros(1, 16, 4, 6)
    code = module._positions(x).view(4, 6, 16)
    angle = 2 * torch.pi * 2 / (4 + 1e-6)
    expected = torch.tensor([f(angle / 10000 ** (i / 4)) for i in range(4) for f in (_sin, _cos)])
    torch.testing.assert_close(code[1, 0, :8], expected)
    assert torch.equal(code[1, 0, :8], code[1, 5, :8])
    assert torch.equal(code[0, 2, 8:], code[3, 2, 8:])


def _sin(x: float) -> float:
    return float(torch.sin(torch.tensor(x)))


def _cos(x: float) -> float:
    return float(torch.cos(torch.tensor(x)))


@torch.no_grad()
def test_more_inducing_points_than_elements_cost_no_element() -> None:
    module, x = build("isab", num_inducing=50), randn(2, 1, 32)
    assert module(x).shape == (2, 1, 32)
    assert F.mse_loss(module(x), module(torch.cat((x, x), 1))[:, :1]) < 1e-10
