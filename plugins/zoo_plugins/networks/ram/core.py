"""Core and location network of the Recurrent Attention Model, and what one rollout records."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMALLEST_STD = 1e-6  # the density of a deterministic policy is taken at this width


class Rollout(NamedTuple):
    """One episode of T glimpses; "..." are leading dimensions of several episodes an image.

    Attributes:
        log_probs: (..., B, K), log-softmax of the classifier at the last glimpse.
        hidden: (T, ..., B, D), h_t.
        location_mean: (T, ..., B, 2), mean of the policy after glimpse t.
        location: (T, ..., B, 2), the sampled next location in [-1, 1]; the last is not visited.
        log_pi: (T, ..., B), log-density of each sample, before it was brought into [-1, 1].
        baseline: (T, ..., B), expected reward given h_t.
        path: (T, ..., B, 2), the locations that were looked at, (x, y).
    """

    log_probs: Tensor
    hidden: Tensor
    location_mean: Tensor
    location: Tensor
    log_pi: Tensor
    baseline: Tensor
    path: Tensor


class RecurrentCore(nn.Module):
    """h_t = relu(W_i g_t + W_h h_{t-1}), the rectifier core that the paper uses to classify.

    W_h starts as 0.9 times the identity (Le, Jaitly, Hinton 2015, arXiv 1504.00941), so that what
    was seen first is still there after the last glimpse.

    Shape: g (..., input_size), h (..., hidden_size) -> (..., hidden_size).
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.i2h = nn.Linear(input_size, hidden_size, device=device, dtype=dtype)
        self.h2h = nn.Linear(hidden_size, hidden_size, device=device, dtype=dtype)
        with torch.no_grad():
            nn.init.eye_(self.h2h.weight).mul_(0.9)
            nn.init.zeros_(self.h2h.bias)

    def forward(self, glimpse: Tensor, hidden: Tensor | None = None) -> Tensor:
        """`hidden=None` is h = 0, the state before the first glimpse."""
        recurrent = self.h2h.bias if hidden is None else self.h2h(hidden)
        return F.relu(self.i2h(glimpse) + recurrent)


class LocationNetwork(nn.Module):
    """Mean of the location policy: tanh(W h), or tanh(W relu(V h)) with a hidden layer.

    Args:
        hidden_size: width of h.
        locator_hidden: width of the hidden layer; 0 is the paper's single linear layer.

    The last layer starts orthogonal with gain 2: an untrained policy then already looks about,
    where the usual small weights would keep it at the centre for many epochs.

    Shape: h (..., hidden_size) -> (..., 2), in float32 at least.
    """

    def __init__(
        self, hidden_size: int, locator_hidden: int, *, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        self.hidden = nn.Linear(hidden_size, locator_hidden, **factory) if locator_hidden else None
        self.mean = nn.Linear(locator_hidden or hidden_size, 2, **factory)
        orthogonal_(self.mean.weight, 2.0)

    def forward(self, hidden: Tensor) -> Tensor:
        if self.hidden is not None:
            hidden = F.relu(self.hidden(hidden))
        mean = self.mean(hidden)
        return torch.tanh(mean.to(torch.promote_types(mean.dtype, torch.float32)))


@torch.no_grad()
def orthogonal_(weight: Tensor, gain: float) -> None:
    """`nn.init.orthogonal_`, by a decomposition that half precision lacks."""
    if weight.dtype in (torch.float16, torch.bfloat16):
        weight.copy_(nn.init.orthogonal_(torch.empty_like(weight, dtype=torch.float32), gain))
    else:
        nn.init.orthogonal_(weight, gain)


def log_density(sample: Tensor, mean: Tensor, std: float | Tensor) -> Tensor:
    """log N(sample; mean, std^2 I) summed over the two coordinates, (..., 2) -> (...)."""
    width = torch.as_tensor(std, dtype=mean.dtype, device=mean.device).clamp_min(SMALLEST_STD)
    z = (sample - mean) / width
    return (-0.5 * z * z - width.log() - 0.5 * math.log(2 * math.pi)).sum(-1)


def scale_gradient(x: Tensor, share: float) -> Tensor:
    """x itself, to the bit, of whose gradient only this share goes on."""
    fixed = x.detach()
    return fixed + share * (x - fixed) if share else fixed
