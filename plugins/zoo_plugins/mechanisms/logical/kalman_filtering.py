"""Kalman filtering attention (Liu et al., NeurIPS 2020, arXiv 2010.00985).

Attention as the maximum a posteriori estimate of a hidden value: each of N memories is a sensor
that measured it once, and a prior, given by the query, stands for what none has measured.

    base:  1 / s_n^2 = exp(q W_Q (k_n W_K)^T)
           y = (p mu + sum_n v_n / s_n^2) / (p + sum_n 1 / s_n^2)
    freq:  a sensor m gave c_m values, with errors of their own of variance r_m:
           y = (p mu + sum_m mean(v_m) w_m) / (p + sum_m w_m),     w_m = 1 / (s_m^2 + r_m / c_m)

where 1 / s^2 is the precision of a sensor, and p and mu are the precision and mean of the prior.
However often a sensor was asked, it counts no more than 1 / s_m^2 (its frequency is capped). With
p = 0 base is softmax attention without 1 / sqrt(d). No code was released.

What the paper leaves open, and is chosen here: mu, p and r are perceptrons of one hidden layer, of
the query, the query and the key; hidden layers are as wide as the query and end in ReLU; p and r
are exponentials of the outputs, as the precision is. Each can be given instead. Several heads split
W_Q, W_K and W_V, have a p and r each, and are joined by W_O, which one head has not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from zoo.errors import UsageError
from zoo.sdk import PositiveInt, check_divisible
from zoo.sdk.attend import check_mask, check_tokens
from zoo.sdk.precision import wide_einsum, widened

NAME = "kalman_filtering"


class Estimate(NamedTuple):
    """y (B, Q, V), precisions and weights (B, Q, h, N), weight of the prior (B, Q, h).

    Without the Q of a single query, and without the h of a single head in the middle two.
    The weights of a head and of its prior sum to one.
    """

    y: Tensor
    precision: Tensor
    weights: Tensor
    prior_weight: Tensor


class KalmanFilteringAttention(nn.Module):
    """query (B, D) or (B, Q, D), memory (B, N, D), mask (B, N) -> (B, V) or (B, Q, V).

    Args:
        dim: D.
        key_dim, value_dim: of all heads together, by default D.
        num_heads: h.
        variant: `base` or `freq`.
        prior_hidden: width of the perceptrons' hidden layers, by default D.

    A masked memory has precision zero; where all are masked the prior alone is left.
    """

    def __init__(
        self,
        dim: PositiveInt,
        *,
        key_dim: PositiveInt | None = None,
        value_dim: PositiveInt | None = None,
        num_heads: PositiveInt = 1,
        variant: Literal["base", "freq"] = "base",
        prior_hidden: PositiveInt | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.dim, self.num_heads, self.variant = dim, num_heads, variant
        keys = dim if key_dim is None else key_dim
        values = dim if value_dim is None else value_dim
        hidden = dim if prior_hidden is None else prior_hidden
        for name, width in (("key_dim", keys), ("value_dim", values)):
            check_divisible(NAME, name, width, "num_heads", self.num_heads)
        dd: Any = {"device": device, "dtype": dtype}
        self.W_Q = nn.Linear(dim, keys, bias=False, **dd)
        self.W_K = nn.Linear(dim, keys, bias=False, **dd)
        self.W_V = nn.Linear(dim, values, bias=False, **dd)
        self.W_O = nn.Linear(values, values, bias=False, **dd) if self.num_heads > 1 else None
        self.prior_mean = _perceptron(dim, hidden, values, **dd)
        self.prior_precision = _perceptron(dim, hidden, self.num_heads, **dd)
        self.measurement: nn.Module | None = None
        if variant == "freq":
            self.measurement = _perceptron(dim, hidden, self.num_heads, **dd)

    def forward(
        self, query: Tensor, memory: Tensor, mask: Tensor | None = None, **given: Tensor | None
    ) -> Tensor:
        """The estimate; `given` are the keywords of `estimate`."""
        return self.estimate(query, memory, mask, **given).y

    def estimate(
        self,
        query: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        *,
        values: Tensor | None = None,
        counts: Tensor | None = None,
        prior_mean: Tensor | None = None,
        prior_precision: Tensor | None = None,
        measurement_variance: Tensor | None = None,
    ) -> Estimate:
        """The estimate, and what it was made of.

        Args:
            memory: the keys (B, N, D).
            values: (B, N, D), by default the keys; with `freq` also (B, N, n, D), of which the
                first c_m of each sensor count.
            counts: c_m (B, N), with `freq`; 0 is a masked sensor. By default n, or 1.
            prior_mean, prior_precision: mu (B, V), p (B, 1) or (B, h); with Q: (B, Q, ...).
            measurement_variance: r (B, N), or (B, N, h).
        """
        single = query.ndim == 2
        if single:
            query = query.unsqueeze(1)
            prior_mean, prior_precision = _with_query(prior_mean), _with_query(prior_precision)
        check_tokens(NAME, "query", query, self.dim)
        check_tokens(NAME, "memory", memory, self.dim)
        check_mask(NAME, mask, memory)
        pooled, counts = self._pool(memory if values is None else values, counts)
        if counts is not None:
            mask = counts > 0 if mask is None else mask & (counts > 0)
        log_precision = self._log_precision(query, memory, counts, measurement_variance)
        weights, prior_weight = self._weights(query, log_precision, prior_precision, mask)
        mean = self.prior_mean(query) if prior_mean is None else prior_mean
        y = self._combine(weights, prior_weight, self.W_V(pooled), mean)
        precision = log_precision.exp()
        if mask is not None:
            precision = precision.masked_fill(~mask[:, None, None], 0)
        return self._shaped(y, precision, weights, prior_weight, single)

    def _pool(self, values: Tensor, counts: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The mean value of each sensor (B, N, D), and how many went into it."""
        if self.variant == "base":
            if counts is not None or values.ndim != 3:
                raise UsageError(
                    "a sensor with several values needs counts that the variant 'base' has not",
                    where=f"attention {NAME!r}",
                    remedy='variant="freq"',
                )
            return values, None
        if values.ndim == 3:
            ones = values.new_ones(values.shape[:2]) if counts is None else counts
            return values, ones
        number = values.shape[2]
        if counts is None:
            return values.mean(2), values.new_full(values.shape[:2], number)
        present = torch.arange(number, device=values.device) < counts.unsqueeze(-1)
        total = (values * present.unsqueeze(-1)).sum(2)
        return total / counts.clamp(1, number).unsqueeze(-1), counts

    def _log_precision(
        self, query: Tensor, memory: Tensor, counts: Tensor | None, variance: Tensor | None
    ) -> Tensor:
        """(B, Q, h, N)."""
        q, k = (_heads(x, self.num_heads) for x in (self.W_Q(query), self.W_K(memory)))
        scores = wide_einsum("bqhd,bnhd->bqhn", q, k)
        if counts is None:
            return scores
        if variance is not None:
            variance = variance.unsqueeze(-1) if variance.ndim == 2 else variance
        else:
            assert self.measurement is not None  # counts are given to `freq` only
            variance = torch.exp(self.measurement(memory))
        own = variance / counts.clamp_min(1).unsqueeze(-1)
        return _with_variance(scores, own.transpose(1, 2).unsqueeze(1))

    def _weights(
        self, query: Tensor, log_precision: Tensor, given: Tensor | None, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Of the memories (B, Q, h, N), and of the prior (B, Q, h), `given` or the perceptron's."""
        if given is not None:
            return _normalise(log_precision, given.expand(-1, -1, self.num_heads), mask)
        log_prior = widened(self.prior_precision(query))
        lowest = torch.finfo(log_precision.dtype).min
        if mask is not None:
            log_precision = log_precision.masked_fill(~mask[:, None, None], lowest)
        logits = torch.cat([log_precision, log_prior.unsqueeze(-1)], -1)
        weights = torch.softmax(logits, -1)
        return weights[..., :-1], weights[..., -1]

    def _combine(self, weights: Tensor, prior: Tensor, values: Tensor, mean: Tensor) -> Tensor:
        v, mu = _heads(values, self.num_heads), _heads(mean, self.num_heads)
        weights, prior = weights.to(v.dtype), prior.to(v.dtype)
        y = torch.einsum("bqhn,bnhd->bqhd", weights, v) + prior.unsqueeze(-1) * mu
        return y.flatten(2) if self.W_O is None else self.W_O(y.flatten(2))

    def _shaped(
        self, y: Tensor, precision: Tensor, weights: Tensor, prior: Tensor, single: bool
    ) -> Estimate:
        if self.num_heads == 1:
            precision, weights = precision.squeeze(2), weights.squeeze(2)
        found = (y, precision, weights, prior)
        return Estimate(*(t.squeeze(1) for t in found) if single else found)


def _normalise(log_precision: Tensor, prior: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Weights (B, Q, h, N) and that of the prior (B, Q, h), both divided by the largest first."""
    lowest = torch.finfo(prior.dtype).min
    if mask is not None:
        log_precision = log_precision.masked_fill(~mask[:, None, None], lowest)
    with torch.no_grad():
        log_prior = prior.log().clamp_min(lowest)
        top = torch.maximum(log_precision.max(-1)[0], log_prior)
        top = top.masked_fill(top == lowest, 0)
        cap = math.log(torch.finfo(prior.dtype).max)
    weights = (log_precision - top.unsqueeze(-1)).exp()
    share = prior * (-top).clamp_max(cap).exp()  # not by log(prior), whose gradient ends at zero
    total = weights.sum(-1) + share
    total = total.masked_fill(total == 0, 1)
    return weights / total.unsqueeze(-1), share / total


def _with_variance(scores: Tensor, variance: Tensor) -> Tensor:
    """-log(exp(-scores) + variance), without overflow on either side of zero."""
    e = (-scores.abs()).exp()
    high = -(e + variance).log()
    low = scores - (variance * e).log1p()
    return torch.where(scores > 0, high, low)


def _perceptron(inputs: int, hidden: int, outputs: int, **dd: Any) -> nn.Sequential:
    first, last = nn.Linear(inputs, hidden, **dd), nn.Linear(hidden, outputs, **dd)
    return nn.Sequential(first, nn.ReLU(), last)


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1))


def _with_query(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.unsqueeze(1)


def from_reference(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """A case's weights; where it gives the prior as an input, its perceptrons stay as they are."""
    parts = ("prior_mean.", "prior_precision.", "measurement.")
    own = module.state_dict()
    kept = {
        key: own[key]
        for part in parts
        if not any(theirs.startswith(part) for theirs in state)
        for key in own
        if key.startswith(part)
    }
    return {**kept, **state}


def reference_call(module: KalmanFilteringAttention, *inputs: Tensor) -> Estimate:
    """The cases' order: query, keys, values, [counts], mean and precision of the prior, [r]."""
    query, keys, values, *others = inputs
    names = ["prior_mean", "prior_precision"]
    if module.variant == "freq":
        names = ["counts", *names, "measurement_variance"]
    return module.estimate(query, keys, values=values, **dict(zip(names, others, strict=True)))
