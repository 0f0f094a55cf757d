"""Self-critical attention learning (Chen et al., ICCV 2019, doi 10.1109/ICCV.2019.00973).

An attention agent, and a critic that learns to tell how much the attention helps:

    A_s = sigmoid(W2 max(0, W1 mean_c(x)))        over the HW positions, (B, 1, H, W)
    A_c = sigmoid(W4 max(0, W3 mean_hw(x)))       over the channels, (B, C, 1, 1)
    y = x A_s A_c
    V = critic(x, A)                              the critic's value, (B,)
    R = [predicted label is right] + [p_true(attended) > p_true(x)]         the reward: 0, 1 or 2
    agent: minimises -V, with respect to the attention only
    critic: minimises (V - R)^2, with respect to the critic only

x, y: (B, C, H, W). No code of the authors is known: this is built from the paper's equations,
without sight of its figures. What the equations leave open, and our choices: the layers have no
bias, and hidden widths HW / 16 and C / 16; both attentions multiply the map (one at a time by
`attention=`); the critic is a two-layer perceptron, of hidden width C / 16, on the means over the
map of x and of y; no gradient of either loss reaches x.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from zoo.errors import UsageError
from zoo.sdk import PositiveFloat, PositiveInt, Size, bottleneck_width, pair_hidden_units_, refuse
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import as_pair, require_size
from zoo.sdk.take_part import take_part

NAME = "self_critic"


class SelfCritic(nn.Module):
    """(B, C, H, W) -> the same shape.

        logits, plain = ...              # of the attended features, and of those before attention
        reward = self_critic_reward(logits, plain, labels)
        for module in the model's SelfCritic modules:
            agent, critic = module.losses(reward)
            loss = loss + weight * (agent + critic)

    Args:
        channels: C.
        feat_size: (H, W) of the map, or one number for both; not needed with
            attention="channel".
        attention: which of A_s and A_c multiply the map.
        reduction: the hidden width of the channel attention and of the critic is C / reduction.
        reduced_channels: that width itself.
        spatial_reduction: the hidden width of the spatial attention is HW / spatial_reduction.
        bias: of the attention's layers.
    """

    def __init__(
        self,
        channels: PositiveInt,
        *,
        feat_size: Size | None = None,
        attention: Literal["both", "spatial", "channel"] = "both",
        reduction: PositiveFloat = 16,
        reduced_channels: PositiveInt | None = None,
        spatial_reduction: PositiveFloat = 16,
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        width = bottleneck_width(channels, reduction, reduced_channels)
        dd: Any = {"device": device, "dtype": dtype}
        self.size = None if feat_size is None else as_pair(feat_size)
        self.spatial = self.channel = None
        if attention != "channel":
            if self.size is None:
                refuse(NAME, "the size of the map is not given", "feat_size=(14, 14)")
            area = self.size[0] * self.size[1]
            self.spatial = Gate(area, bottleneck_width(area, spatial_reduction), bias, dd)
        if attention != "spatial":
            self.channel = Gate(channels, width, bias, dd)
        self.critic = nn.Sequential(
            nn.Linear(2 * channels, width, **dd), nn.ReLU(), nn.Linear(width, 1, **dd)
        )
        self.seen: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        attention = self.attention(x)
        if not torch.jit.is_scripting() and self.training:
            self.seen = x.detach()
            attention = take_part(attention, list(self.critic.parameters()))
        return x * attention

    def attention(self, x: Tensor) -> Tensor:
        """A, (B, C, H, W), or with ones for the dimensions it is the same along."""
        if self.spatial is not None and self.size is not None:
            if not torch.jit.is_scripting():
                x = require_size(NAME, x, self.size)
            where = self.spatial(x.mean(1).flatten(1)).unflatten(1, (1, *self.size))
            if self.channel is None:
                return where
            return where * self.channel(x.mean((2, 3)))[..., None, None]
        assert self.channel is not None
        return self.channel(x.mean((2, 3)))[..., None, None]

    def value(self, x: Tensor, attention: Tensor) -> Tensor:
        """V, (B,): what the critic expects of this attention to this map."""
        return self.critic(_pooled(x, attention)).squeeze(1)

    def losses(self, reward: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The agent's loss -V and the critic's (V - R)^2, means over the batch.

        Args:
            reward: R, (B,), see `self_critic_reward`.
            x: the map; by default that of the last forward in training.
        """
        x = self.seen if x is None else x.detach()
        if x is None:
            raise UsageError(
                "there is no map to judge the attention by",
                where=f"attention {NAME!r}",
                remedy="run forward in training first, or give losses(reward, x)",
            )
        check_shape(NAME, "reward", reward, (x.shape[0],))
        attention = self.attention(x)
        fixed = {name: p.detach() for name, p in self.critic.named_parameters()}
        agent = -functional_call(self.critic, fixed, _pooled(x, attention)).mean()
        value = self.value(x, attention.detach())
        return agent, F.mse_loss(value, reward.detach().to(value.dtype))

    def init_identity(self) -> float:
        """Start as c x by hidden units in opposite pairs; returns c."""
        gates = [gate for gate in (self.spatial, self.channel) if gate is not None]
        for gate in gates:
            pair_hidden_units_(gate.fc1, gate.fc2)
        return 0.5 ** len(gates)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "seen": None}  # a map of the last batch is no part of the state


class Gate(nn.Module):
    """sigmoid(fc2(relu(fc1(x)))), (B, D) -> (B, D)."""

    def __init__(self, width: int, hidden: int, bias: bool, dd: Any) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden, bias=bias, **dd)
        self.fc2 = nn.Linear(hidden, width, bias=bias, **dd)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.fc2(F.relu(self.fc1(x))))


def self_critic_reward(logits: Tensor, plain: Tensor, labels: Tensor) -> Tensor:
    """R, (B,): 1 for a right label, and 1 for a likelier true class than without attention.

    Args:
        logits, plain: (B, classes), of the attended features and of those before attention.
        labels: (B,), the true classes.
    """
    right = logits.argmax(1) == labels
    index = labels[:, None]
    better = logits.softmax(1).gather(1, index) > plain.softmax(1).gather(1, index)
    return right.to(logits.dtype) + better.squeeze(1).to(logits.dtype)


def _pooled(x: Tensor, attention: Tensor) -> Tensor:
    """Means over the map of x and of y, (B, 2C)."""
    return torch.cat([x.mean((2, 3)), (x * attention).mean((2, 3))], 1)
