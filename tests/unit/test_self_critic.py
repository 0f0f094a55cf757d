"""Self-critical attention: its gates, its reward, and which loss moves what."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from timm.layers import SEModule
from torch import Tensor
from zoo_plugins.mechanisms.reinforcement.self_critic import self_critic_reward

import zoo
from zoo.errors import OptionError, UsageError


def build(channels: int = 8, **options: Any) -> Any:
    torch.manual_seed(0)
    options = {"reduced_channels": 4, "spatial_reduction": 4, "feat_size": (4, 5), **options}
    return zoo.create_attention("self_critic", channels, dtype=torch.float64, **options)


def sample(channels: int = 8) -> Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randn(3, channels, 4, 5, generator=random, dtype=torch.float64)


def test_its_channel_attention_is_squeeze_and_excitation() -> None:
    module = build(attention="channel", feat_size=None)
    theirs = SEModule(8, rd_channels=4, bias=False).double()
    state = {f"{key}.weight": getattr(module.channel, key).weight for key in ("fc1", "fc2")}
    theirs.load_state_dict({key: tensor[..., None, None] for key, tensor in state.items()})
    torch.testing.assert_close(module(sample()), theirs(sample()))


def test_its_spatial_attention_is_the_same_with_positions_for_channels() -> None:
    spatial = build(attention="spatial", spatial_reduction=5)
    turned = build(20, attention="channel", feat_size=None)
    turned.channel.load_state_dict(spatial.spatial.state_dict())
    x = sample()
    found = turned(x.flatten(2).transpose(1, 2)[..., None]).squeeze(3).transpose(1, 2)
    torch.testing.assert_close(spatial(x), found.reshape(x.shape))


def test_both_multiply() -> None:
    module, x = build(), sample()
    where = build(attention="spatial")
    where.spatial.load_state_dict(module.spatial.state_dict())
    what = build(attention="channel")
    what.channel.load_state_dict(module.channel.state_dict())
    torch.testing.assert_close(module(x), x * where.attention(x) * what.attention(x))


def test_the_reward_counts_a_right_label_and_a_gain() -> None:
    plain = torch.tensor([[0.0, 0.0]] * 4)
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 1.0]])
    labels = torch.tensor([0, 0, 0, 1])
    assert self_critic_reward(logits, plain, labels).tolist() == [2, 0, 1, 2]
    assert self_critic_reward(plain, logits, labels).tolist() == [1, 2, 1, 0]


def test_each_loss_moves_its_own_part_only() -> None:
    module = build()
    x = sample().requires_grad_()
    module.train()(x)
    agent, critic = module.losses(torch.tensor([0.0, 1.0, 2.0]))
    agent.backward()
    assert all(p.grad is None for p in module.critic.parameters())
    assert all(p.grad.abs().max() > 0 for p in module.spatial.parameters())
    module.zero_grad()
    critic.backward()
    assert all(p.grad is None for p in (*module.spatial.parameters(), *module.channel.parameters()))
    assert any(p.grad.abs().max() > 0 for p in module.critic.parameters())
    assert x.grad is None


def test_the_losses_are_the_value_and_its_error() -> None:
    module, x, reward = build(), sample(), torch.tensor([0.0, 1.0, 2.0]).double()
    agent, critic = module.losses(reward, x)
    value = module.value(x, module.attention(x))
    torch.testing.assert_close(agent, -value.mean())
    torch.testing.assert_close(critic, (value - reward).square().mean())
    optimiser = torch.optim.SGD((*module.spatial.parameters(), *module.channel.parameters()), 0.1)
    agent.backward()
    optimiser.step()
    assert module.value(x, module.attention(x)).mean() > value.mean()


def test_without_a_map_there_is_nothing_to_judge() -> None:
    module = build()
    with pytest.raises(UsageError, match="forward in training"):
        module.losses(torch.zeros(3))
    module.train()(sample())
    assert copy.deepcopy(module).seen is None
    with pytest.raises(OptionError, match="feat_size"):
        build(feat_size=None)
