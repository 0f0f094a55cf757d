"""dasNet: a policy that turns a network's filters up and down between passes.

Stollenga, Masci, Gomez, Schmidhuber, "Deep Networks with Internal Selective Attention through
Feedback Connections", NIPS 2014 (arXiv 1407.3068).

    o_t = (mean over H, W of each map)                           observation, (B, C)
    a_{t+1} = C softmax(theta o_t)                               gates of mean 1, a_0 = 1
    maps of pass t+1 are multiplied by a_{t+1}

theta (C, C) is found by `Snes`. At theta = 0 all gates are 1: the network as it was.

Only the search step is checked against code. The rest is from the paper's equations as far as they
could be read; that observation and action are of all gated maps, and of nothing else, is a choice.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor, nn

from zoo.errors import UsageError
from zoo.sdk import AtLeast, PositiveFloat, PositiveInt, refuse
from zoo.sdk.inputs import check_shape
from zoo_plugins.mechanisms.reinforcement.dasnet_snes import NAME, Generation, Snes


class FilterPolicy(nn.Module):
    """o (B, C) -> gates (B, C) of mean 1. A linear layer without bias, zero at first."""

    def __init__(self, channels: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.channels = channels
        self.theta = nn.Parameter(torch.zeros(channels, channels, device=device, dtype=dtype))

    def forward(self, observation: Tensor) -> Tensor:
        return self.channels * torch.softmax(observation @ self.theta.mT, -1)


class DasNet(nn.Module):
    """One step of feedback on one map, (B, C, H, W) -> the same shape: x * a(mean of x).

    `DasNetwork` gates all maps of a whole network so. `search` is the search that trains theta.

    Args:
        channels: C. None leaves only the search, over `num_params` parameters.
        num_params: D of the search; C^2 where channels are given.
        population, center_lr, sigma_lr: see `Snes`.
    """

    def __init__(
        self,
        channels: PositiveInt | None = None,
        *,
        num_params: PositiveInt | None = None,
        population: Annotated[int, AtLeast(2)] | None = None,
        center_lr: PositiveFloat = 1.0,
        sigma_lr: PositiveFloat | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if channels is None and num_params is None:
            refuse(NAME, "neither channels nor num_params is given", "channels=64")
        self.policy: FilterPolicy | None = None
        if channels is not None:
            self.policy = FilterPolicy(channels, device=device, dtype=dtype)
            size = self.policy.theta.numel()
            if num_params not in (None, size):
                refuse(NAME, f"channels={channels} have {size} parameters, not {num_params}")
            num_params = size
        assert num_params is not None
        self.search = Snes(
            num_params, population=population, center_lr=center_lr, sigma_lr=sigma_lr
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.policy is None:
            raise UsageError("this holds the search alone", where=NAME, remedy="channels=C")
        if not torch.jit.is_scripting():
            check_shape(NAME, "x", x, ("B", self.policy.channels, "H", "W"))
        return x * self.policy(x.mean((2, 3)))[..., None, None]

    @torch.no_grad()
    def init_identity(self) -> float:
        """Start with every gate at 1, which it does anyway."""
        if self.policy is not None:
            nn.init.zeros_(self.policy.theta)
        return 1.0


def reference_call(
    module: DasNet, mean: Tensor, sigma: Tensor, noise: Tensor, fitness: Tensor
) -> Generation:
    """What a reference case records: one step of the search."""
    return module.search.step(mean, sigma, noise, fitness)
