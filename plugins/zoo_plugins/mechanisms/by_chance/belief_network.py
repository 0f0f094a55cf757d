"""Bayesian attention belief networks (Zhang et al., ICML 2021, arXiv 2106.05251).

A stack of self-attentions whose unnormalised weights are Weibull variables; each layer's posterior
depends on the layer before it. Per head and layer, with two projections of queries and keys:

    A1 = softmax(q1 k1^T / sqrt(d)),  A2 = softmax(q2 k2^T / sqrt(d))
    h = beta softplus(W3 h' + b3)                                    h' = A2 in the first layer
    k = g softplus(W1 h + b1) + A2 + k_offset                        shape, g = prior_gamma
    lambda = beta softplus(W2 h + b2) + A1 / Gamma(1 + 1/k)          scale
    S = lambda (-log(1 - u))^(1/k),   u = low + (high - low) noise,  noise ~ U(0, 1)
    y = merge(S / sum_keys S  v)
    prior: S ~ Gamma(alpha, beta),  alpha = beta softmax_keys(V s' + c)

with s' = A2 in the first layer and S of the layer before in the others. x, y: (B, N, C), y of each
layer is x of the next. W and b act along the queries, V along the keys: at most `num_tokens`
tokens, of which fewer use the leading blocks. In eval, or with sampling=False, S is its mean
lambda Gamma(1 + 1/k).

Departures of the authors' code, which `variant="official"` keeps: in eval h and S of the next layer
are the normalised weights; the divergence has log A1 for log lambda, and no gradient through
log Gamma(alpha). "paper" has h and S as in training, and the closed form of KL(Weibull || Gamma).
Their code lets masked tokens take part in h and S; here they take none.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, Share, check_divisible, refuse
from zoo.sdk.attend import check_mask, masked_softmax
from zoo.sdk.chance import masked_mean, uniform, weibull_gamma_kl
from zoo.sdk.inputs import check_shape
from zoo.sdk.take_part import take_part
from zoo_plugins.mechanisms.self_attention.heads import largest_divisor

NAME = "belief_network"


class Layer(NamedTuple):
    """What one layer computes: `y` (B, N, C); the next four (B, heads, N, N); the scalar `kl`."""

    y: Tensor
    sample: Tensor
    k: Tensor
    scale: Tensor
    hidden: Tensor
    kl: Tensor


class Rule(NamedTuple):
    """The numbers of the equations that all layers share."""

    beta: float
    prior_gamma: float
    k_offset: float
    eps: float
    official: bool


class BeliefNetwork(nn.Module):
    """(B, N, C) -> the same shape.

    After a forward in training, `kl` is the sum of the layers' divergences from their priors: add
    a (growing) multiple of it to the loss.

    Args:
        dim: C.
        num_heads: by default 8, or the greatest smaller number that divides C.
        num_tokens: the most tokens, 100.
        num_layers: 1.
        beta: rate of the Gamma prior, 1.
        prior_gamma: g, 1.
        noise_low, noise_high: the range of u, 0.1 to 0.9.
        k_offset: 0.05.
        sampling: draw in training, True.
        eps: in the logarithms, 1e-20.
        variant: `"official"` or `"paper"`, see above.
    """

    def __init__(
        self,
        dim: PositiveInt,
        *,
        num_heads: PositiveInt | None = None,
        num_tokens: PositiveInt = 100,
        num_layers: PositiveInt = 1,
        beta: PositiveFloat = 1.0,
        prior_gamma: PositiveFloat = 1.0,
        noise_low: Share = 0.1,
        noise_high: Share = 0.9,
        k_offset: Share = 0.05,
        sampling: bool = True,
        eps: PositiveFloat = 1e-20,
        variant: Literal["official", "paper"] = "official",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if not noise_low < noise_high:
            refuse(NAME, f"noise_low={noise_low} is not below noise_high={noise_high}")
        self.dim, self.num_tokens, self.sampling = dim, num_tokens, sampling
        self.noise_low, self.noise_high = noise_low, noise_high
        heads = self.num_heads = largest_divisor(dim, 8) if num_heads is None else num_heads
        check_divisible(NAME, "dim", dim, "num_heads", heads)
        rule = Rule(beta, prior_gamma, k_offset, eps, variant == "official")
        dd: Any = {"device": device, "dtype": dtype}
        self.layers = nn.ModuleList(
            BeliefLayer(dim, heads, num_tokens, rule, dd) for _ in range(num_layers)
        )
        self.kl: Tensor | None = None

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Attend; `mask` (B, N) is True where a token is present. See `attend` for the noise."""
        layers = self.attend(x, mask, noise=noise, generator=generator)
        if not self.training:
            return layers[-1].y
        self.kl = torch.stack([layer.kl for layer in layers]).sum()
        prior: list[Tensor] = [p for name, p in self.named_parameters() if ".linear_prior." in name]
        return take_part(layers[-1].y, prior)

    def attend(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> list[Layer]:
        """What every layer computes; `noise`: (layers, B, heads, N, N) of [0, 1), else drawn."""
        self._check(x, mask)
        size = (len(self.layers), x.shape[0], self.num_heads, x.shape[1], x.shape[1])
        if noise is not None:
            check_shape(NAME, "noise", noise, size)
        if not (self.training and self.sampling):
            noise = None
        else:
            noise = uniform(size, x, generator) if noise is None else noise
            noise = (self.noise_high - self.noise_low) * noise + self.noise_low
        found: list[Layer] = []
        for index, layer in enumerate(self.layers):
            before = found[-1] if found else None
            found.append(layer(x, mask, before, None if noise is None else noise[index]))
            x = found[-1].y
        return found

    def _check(self, x: Tensor, mask: Tensor | None) -> None:
        check_shape(NAME, "x", x, ("B", "N", self.dim))
        check_mask(NAME, mask, x)
        if x.shape[1] > self.num_tokens:
            refuse(
                NAME,
                f"{x.shape[1]} tokens, but this was built for at most {self.num_tokens}",
                f"num_tokens={x.shape[1]}",
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "kl": None}  # part of a graph: it cannot be copied


class BeliefLayer(nn.Module):
    """One layer; parameter names are the authors'."""

    def __init__(self, dim: int, heads: int, tokens: int, rule: Rule, dd: dict[str, Any]) -> None:
        super().__init__()
        self.heads = heads
        self.beta, self.prior_gamma, self.k_offset, self.eps, self.official = rule
        for name in ("v", "k", "k2", "q", "q2"):
            setattr(self, f"linear_{name}", nn.Linear(dim, dim, **dd))
        self.linear_merge = nn.Linear(dim, dim, **dd)
        self.linear_prior = nn.Linear(tokens, tokens, **dd)
        for index in (1, 2, 3):
            weight, bias = torch.empty(tokens, tokens, **dd), torch.empty(tokens, 1, **dd)
            setattr(self, f"w_{index}", nn.Parameter(weight.normal_(0.01, 0.1)))
            setattr(self, f"b_{index}", nn.Parameter(bias.normal_(0.001, 0.001)))

    def forward(
        self, x: Tensor, mask: Tensor | None, before: Layer | None, noise: Tensor | None
    ) -> Layer:
        keys = None if mask is None else mask[:, None, None]
        rows = None if mask is None else mask[:, None, :, None]
        first = self._scores("q", "k", x, keys)
        second = _keep(masked_softmax(self._scores("q2", "k2", x, keys), keys), rows)
        hidden, sample = (second, second) if before is None else (before.hidden, before.sample)
        log_alpha = F.log_softmax(_present(self._prior(sample), keys), -1) + math.log(self.beta)
        hidden = _keep(self.beta * self._softplus(3, hidden), rows)
        k = self.prior_gamma * self._softplus(1, hidden) + second + self.k_offset
        log_gamma = torch.lgamma(1 + 1 / k)
        log_first = F.log_softmax(first, -1)
        scale = self.beta * self._softplus(2, hidden) + torch.exp(log_first - log_gamma)
        kl = masked_mean(
            self._kl(k, scale, log_first, log_alpha.exp()),
            None if keys is None or rows is None else keys & rows,
        )
        if noise is None:
            sample = scale * torch.exp(log_gamma)
        else:
            sample = scale * (-torch.log(1 - noise + self.eps)) ** (1 / k)
        sample = _keep(_keep(sample, keys), rows)
        weights = sample / (sample.sum(-1, keepdim=True) + self.eps)
        value = self._project("v", x)
        y = self.linear_merge((weights @ value).transpose(1, 2).flatten(2))
        y = y if mask is None else y.masked_fill(~mask[..., None], 0)
        if noise is None and self.official:
            hidden, sample = weights, weights
        return Layer(y, sample, k, scale, hidden, kl)

    def _project(self, name: str, x: Tensor) -> Tensor:
        projected = self.get_submodule(f"linear_{name}")(x)
        return projected.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _scores(self, query: str, key: str, x: Tensor, keys: Tensor | None) -> Tensor:
        q, k = self._project(query, x), self._project(key, x)
        return _present(q @ k.transpose(2, 3) / math.sqrt(q.shape[3]), keys)

    def _softplus(self, index: int, hidden: Tensor) -> Tensor:
        """softplus(W hidden + b) along the queries."""
        n = hidden.shape[2]
        weight, bias = self.get_parameter(f"w_{index}"), self.get_parameter(f"b_{index}")
        return F.softplus(weight[:n, :n] @ hidden + bias[:n])

    def _prior(self, sample: Tensor) -> Tensor:
        n = sample.shape[3]
        return F.linear(sample, self.linear_prior.weight[:n, :n], self.linear_prior.bias[:n])

    def _kl(self, k: Tensor, scale: Tensor, log_first: Tensor, alpha: Tensor) -> Tensor:
        """Divergence of each weight's distribution from its prior."""
        log_scale = torch.log(scale)
        kl = weibull_gamma_kl(k, log_scale, alpha, self.beta, self.eps)
        if not self.official:
            return kl
        undo = torch.lgamma(alpha + self.eps) - torch.lgamma(alpha.detach() + self.eps)
        return kl + alpha * (log_scale - log_first) - undo


def _present(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Scores whose softmax leaves out what is masked."""
    return scores if mask is None else scores.masked_fill(~mask, torch.finfo(scores.dtype).min)


def _keep(values: Tensor, mask: Tensor | None) -> Tensor:
    return values if mask is None else values.masked_fill(~mask, 0)


def reference_call(
    module: BeliefNetwork, x: Tensor, noise: Tensor | None = None
) -> dict[str, Tensor]:
    """What a reference case records: every layer's parts, and the divergences (layers,)."""
    found: dict[str, Tensor] = {}
    layers = module.attend(x, noise=noise)
    for index, layer in enumerate(layers):
        parts = {"y": layer.y, "sample": layer.sample, "k": layer.k, "lambda": layer.scale}
        parts["hidden"] = layer.hidden
        found |= {f"{name}{index}": tensor for name, tensor in parts.items()}
    return {**found, "kl": torch.stack([layer.kl for layer in layers])}
