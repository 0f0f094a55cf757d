"""The two recurrent layers of DRAM, and one rollout of them (arXiv 1412.7755, section 3).

    c = context(I_coarse)                          r2_0 = c,  r1_0 = 0
    l_n ~ N(E(r2_{n-1}), std^2)                    emission network
    g_n = glimpse(I, l_n)
    r1_n = LSTM(g_n, r1_{n-1}),  r2_n = LSTM(r1_n, r2_{n-1})
    log p(y | I) = log softmax O(r1_n)             classification network
    b_n = B(r2_{n-1})                              expected reward

The context reaches the upper layer only, and classes are read from the lower one: the coarse image
says where to look, never what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk.precision import at_least_float32
from zoo_plugins.networks.dram.glimpse import Convolutions, GlimpseNetwork
from zoo_plugins.networks.ram.core import log_density, orthogonal_

State = tuple[Tensor, Tensor]


class Episode(NamedTuple):
    """One episode of T glimpses; "..." are leading dimensions of several episodes an image.

    Attributes:
        log_probs: (T, ..., B, K), log-softmax of the classifier at every glimpse.
        glimpse: (T, ..., B, G), g. r1, r2: (T, ..., B, D), the layers after each glimpse.
        state: (T, ..., B, D), the r2 that each location was chosen from.
        location_mean, location: (T, ..., B, 2) as (x, y), of the glimpse itself.
        log_pi: (T, ..., B), log-density of each location.
        context: (B, D).
    """

    log_probs: Tensor
    glimpse: Tensor
    r1: Tensor
    r2: Tensor
    state: Tensor
    location_mean: Tensor
    location: Tensor
    log_pi: Tensor
    context: Tensor


class LSTMCell(nn.Module):
    """i, f, o = sigmoid(.), c' = f c + i tanh(.), h' = o tanh(c'); gates in the order i, f, g, o.

    One bias, where PyTorch has two that are only ever added; that of f starts at 1.

    Shape: x (..., input_size), (h, c) each (..., hidden_size) -> (h', c').
    """

    def __init__(self, input_size: int, hidden_size: int, **dd: Any) -> None:
        super().__init__()
        self.input = nn.Linear(input_size, 4 * hidden_size, **dd)
        self.hidden = nn.Linear(hidden_size, 4 * hidden_size, bias=False, **dd)
        nn.init.zeros_(self.input.bias)
        nn.init.ones_(self.input.bias[hidden_size : 2 * hidden_size])

    def forward(self, x: Tensor | None, state: State) -> State:
        """`x=None` is a step on zeros."""
        h, c = state
        given = self.input.bias if x is None else self.input(x)
        i, f, g, o = (given + self.hidden(h)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class Emission(nn.Module):
    """Mean of the location policy, tanh(W h) or tanh(W relu(V h)); the port clips W h instead.

    The last layer starts orthogonal with gain 2, as RAM's, so that an untrained policy looks about.

    Shape: h (..., D) -> (..., 2) as (x, y) in [-1, 1], in float32 at least.
    """

    def __init__(self, width: int, hidden: int, *, clip: bool, **dd: Any) -> None:
        super().__init__()
        self.clip = clip
        self.hidden = nn.Linear(width, hidden, **dd) if hidden else None
        self.mean = nn.Linear(hidden or width, 2, **dd)
        if not clip:
            orthogonal_(self.mean.weight, 2.0)
            nn.init.zeros_(self.mean.bias)

    def forward(self, state: Tensor) -> Tensor:
        if self.hidden is not None:
            state = F.relu(self.hidden(state))
        mean = self.mean(state)
        mean = at_least_float32(mean)
        return mean.clamp(-1, 1) if self.clip else torch.tanh(mean)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSettings:
    """What a `Reader` is built of.

    Attributes:
        channels: of the image.
        context_size: (H, W) that the image is reduced to for the context network, by averages; the
            image's own size leaves it as it is.
        context_filters: of the context network. glimpse_dim, cell_size: G, D.
        emission_hidden, classifier_hidden: widths of a hidden layer, 0 for none.
        std: of the location policy, in units of half an image.
        port: the port's form: no ReLU between the context's convolutions, a step of both LSTMs on
            zeros before the first glimpse, means clipped, and densities of the clipped sample.
        detach_mean: the port's fault: no gradient reaches the emission network, nor by it r2.
    """

    channels: int
    context_size: tuple[int, int]
    context_filters: Sequence[int]
    glimpse_dim: int
    cell_size: int
    emission_hidden: int
    classifier_hidden: int
    std: float
    port: bool
    detach_mean: bool


class Reader(nn.Module):
    """Reads a sequence in one direction: context, both LSTMs, emission, classifier, baseline.

    It has no classifier until `reset_classifier` gives it one.
    """

    def __init__(self, settings: ReaderSettings, **dd: Any) -> None:
        super().__init__()
        s, width = settings, settings.cell_size
        self.context_size, self.cell_size, self.std = s.context_size, width, s.std
        self.port, self.detach_mean = s.port, s.detach_mean
        self.context = Convolutions(
            s.channels, s.context_size, s.context_filters, width, linear=s.port, **dd
        )
        self.r1 = LSTMCell(s.glimpse_dim, width, **dd)
        self.r2 = LSTMCell(width, width, **dd)
        self.emission = Emission(width, s.emission_hidden, clip=s.port, **dd)
        self.baseline = nn.Linear(width, 1, **dd)
        self.num_features = s.classifier_hidden or width
        self.hidden: nn.Module = nn.Identity()
        if s.classifier_hidden:
            self.hidden = nn.Sequential(nn.Linear(width, s.classifier_hidden, **dd), nn.ReLU())
        self.classifier: nn.Module = nn.Identity()

    def reset_classifier(self, num_classes: int, **dd: Any) -> None:
        """A new classifier; 0 removes it."""
        layer = nn.Linear(self.num_features, num_classes, **dd) if num_classes else nn.Identity()
        self.classifier = layer.train(self.training)

    def coarse(self, image: Tensor) -> Tensor:
        """I_coarse, (B, C, *context_size)."""
        if image.shape[-2:] == self.context_size:
            return image
        return F.adaptive_avg_pool2d(image, self.context_size)

    def classify(self, r1: Tensor) -> Tensor:
        """r1 (..., D) -> log-probabilities (..., K), or the features where there are no classes."""
        x = self.classifier(self.hidden(r1))
        return x if isinstance(self.classifier, nn.Identity) else F.log_softmax(x, -1)

    def expected(self, state: Tensor) -> Tensor:
        """The baseline, (..., D) -> (...)."""
        return self.baseline(state).squeeze(-1)

    def rollout(
        self,
        image: Tensor,
        glimpse: GlimpseNetwork,
        steps: int,
        noise: Tensor | None = None,
        *,
        std: float | Tensor | None = None,
        patches: Tensor | None = None,
    ) -> Episode:
        """Look `steps` times; see `DeepRecurrentAttention.rollout`."""
        std = self.std if std is None else std
        context = self.context(self.coarse(image))
        lead = noise.shape[1:-2] if noise is not None else ()
        start = context.expand(*lead, *context.shape)
        zero = torch.zeros_like(start)
        first, second = (zero, zero), (start, zero)
        if self.port:
            first, second = self.r1(None, first), self.r2(None, second)
        rows: list[tuple[Tensor, ...]] = []
        for t in range(steps):
            state = second[0]
            mean = self.emission(state)
            mean = mean.detach() if self.detach_mean else mean
            drawn = mean.detach() if noise is None else (mean + std * noise[t]).detach()
            location = drawn.clamp(-1, 1)
            log_pi = log_density(location if self.port else drawn, mean, std)
            seen = glimpse.retina(image, location) if patches is None else patches[t]
            g = glimpse.encode(seen, location)
            first = self.r1(g, first)
            second = self.r2(first[0], second)
            rows.append((g, first[0], second[0], state, mean, location, log_pi))
        g, r1, r2, state, mean, location, log_pi = map(torch.stack, zip(*rows, strict=True))
        return Episode(self.classify(r1), g, r1, r2, state, mean, location, log_pi, context)
