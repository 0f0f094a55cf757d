"""Separable natural evolution strategies (Schaul, Glasmachers, Schmidhuber, GECCO 2011).

    theta_k = mean + sigma * noise_k                              k = 1 .. P, noise standard normal
    u_k = max(0, log(P/2 + 1) - log rank_k) / sum - 1/P           rank 1 is the fittest
    mean' = mean + center_lr * sigma * sum_k u_k noise_k
    sigma' = sigma * exp(sigma_lr / 2 * sum_k u_k (noise_k^2 - 1))

All by element; mean' uses the old sigma, and fitness is maximised. As in the authors' code
(pybrain) the later of two equally fit ones has the better rank.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from zoo.sdk import AtLeast, PositiveFloat, PositiveInt
from zoo.sdk.inputs import check_shape

NAME = "dasnet"


class Generation(NamedTuple):
    """theta (P, D), utilities (P,), and the next mean (D,) and sigma (D,)."""

    theta: Tensor
    utilities: Tensor
    mean: Tensor
    sigma: Tensor


class Snes:
    """The search over D parameters.

    Args:
        num_params: D.
        population: P, by default 4 + floor(3 ln D).
        center_lr: of the mean.
        sigma_lr: of sigma, by default (3 + ln D) / (5 sqrt D).
    """

    def __init__(
        self,
        num_params: PositiveInt,
        *,
        population: Annotated[int, AtLeast(2)] | None = None,
        center_lr: PositiveFloat = 1.0,
        sigma_lr: PositiveFloat | None = None,
    ) -> None:
        self.num_params, self.center_lr = num_params, center_lr
        size = 4 + math.floor(3 * math.log(num_params))
        self.population = size if population is None else population
        rate = (3 + math.log(num_params)) / (5 * math.sqrt(num_params))
        self.sigma_lr = rate if sigma_lr is None else sigma_lr

    def sample(self, mean: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
        """theta, (P, D)."""
        return mean + sigma * noise

    def step(self, mean: Tensor, sigma: Tensor, noise: Tensor, fitness: Tensor) -> Generation:
        """The next generation of (D,), (D,), given noise (P, D) and fitness (P,)."""
        for name, tensor in (("mean", mean), ("sigma", sigma)):
            check_shape(NAME, name, tensor, (self.num_params,))
        check_shape(NAME, "noise", noise, (self.population, self.num_params))
        check_shape(NAME, "fitness", fitness, (self.population,))
        u = utilities(fitness.double())
        z, old = noise.double(), sigma.double()
        new_mean = mean.double() + self.center_lr * old * (u @ z)
        new_sigma = old * torch.exp(self.sigma_lr / 2 * (u @ (z.square() - 1)))
        return Generation(
            self.sample(mean, sigma, noise), u.to(mean), new_mean.to(mean), new_sigma.to(sigma)
        )


def utilities(fitness: Tensor) -> Tensor:
    """u of each fitness, (P,) -> (P,): they sum to 0."""
    count = len(fitness)
    worst_first = torch.argsort(fitness, stable=True)  # of equals the later one is better
    rank = torch.empty_like(fitness)
    rank[worst_first] = torch.arange(count, 0, -1, dtype=fitness.dtype, device=fitness.device)
    raw = (math.log(count / 2 + 1) - rank.log()).clamp_min(0)
    return raw / raw.sum() - 1 / count
