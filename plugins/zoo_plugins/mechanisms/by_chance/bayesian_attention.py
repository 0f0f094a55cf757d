"""Bayesian attention modules (Fan et al., NeurIPS 2020, arXiv 2010.10604).

The attention weights are random, with a reparametrised posterior around the softmax:

    W = softmax(q k^T / sqrt(d)),  l = log(W + eps)                        per head
    weibull:   S = W / Gamma(1 + 1/k) (-log(1 - u))^(1/k),  u ~ U(0, 1)    mean W, eq. 6
    lognormal: S = exp(l - sigma^2 / 2 + sigma e),          e ~ N(0, 1)    mean W
    attention = S / sum_keys S
    y = LayerNorm(x + dense(attention v))

and a prior over S that the loss pulls to by `kl`, the mean over all weights of
KL(Weibull || Gamma(alpha, beta)) or of KL(lognormal || lognormal):

    prior "contextual": p = softmax_keys(w2 act(w1 key)); alpha = beta p, or mu0 = log(p + eps)
    prior "fixed":      alpha, or mu0 = 0

x, y: (B, N, C). In eval, or with sampling=False, the attention is W itself and nothing is drawn.
Parameter names are those of the authors' ALBERT.

Departures of the authors' code, which `variant="official"` keeps: KL(Weibull || Gamma) without its
constant log k - gamma - 1 (gamma is Euler's), which moves no gradient; "paper" has it. In both the
mean of the lognormal prior is log p, without - sigma_prior^2 / 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, check_divisible, refuse
from zoo.sdk.attend import attend, check_mask, masked_softmax
from zoo.sdk.chance import (
    EULER_GAMMA,
    log_weibull,
    masked_mean,
    normal,
    normal_kl,
    uniform,
    weibull_gamma_kl,
)
from zoo.sdk.inputs import check_shape
from zoo.sdk.take_part import take_part
from zoo_plugins.mechanisms.self_attention.heads import largest_divisor

NAME = "bayesian_attention"
Activation = Literal["relu", "lrelu", "tanh", "sigmoid", "none"]


class BayesianAttended(NamedTuple):
    """`y` (B, N, C), `attention` (B, heads, N, N), the scalar `kl`, and the prior's weights."""

    y: Tensor
    attention: Tensor
    kl: Tensor
    prior: Tensor | None


class BayesianAttention(nn.Module):
    """(B, N, C) -> the same shape.

    After a forward in training, `kl` is the divergence from the prior: add a (growing) multiple
    of it to the loss.

    Args:
        dim: C.
        num_heads: by default 8, or the greatest smaller number that divides C.
        distribution: `"weibull"` or `"lognormal"`.
        prior: `"contextual"`, `"fixed"`, or `"parameter"`, where alpha or sigma_prior is learned.
        prior_hidden: width of w1; by default 10, and 1 without an activation.
        prior_activation: `"relu"`, `"lrelu"` (slope 0.1), `"tanh"`, `"sigmoid"`, or `"none"`:
            p = softmax(w1 key), with prior_hidden=1.
        sampling: draw in training, True.
        k: shape of the Weibull, 10.
        beta, alpha: rate and (fixed) shape of the Gamma prior, 1.
        sigma_posterior, sigma_prior: of the lognormals, 0.4 and 1.
        eps: inside the logarithms, 1e-20.
        residual: add x and norm, as the authors' block, True; else y = dense(attention v).
        norm_eps: of the layer norm, 1e-12.
        variant: `"official"` or `"paper"`, see above.
    """

    def __init__(
        self,
        dim: PositiveInt,
        *,
        num_heads: PositiveInt | None = None,
        distribution: Literal["weibull", "lognormal"] = "weibull",
        prior: Literal["contextual", "fixed", "parameter"] = "contextual",
        prior_hidden: PositiveInt | None = None,
        prior_activation: Activation = "relu",
        sampling: bool = True,
        k: PositiveFloat = 10.0,
        beta: PositiveFloat = 1.0,
        alpha: PositiveFloat = 1.0,
        sigma_posterior: PositiveFloat = 0.4,
        sigma_prior: PositiveFloat = 1.0,
        eps: PositiveFloat = 1e-20,
        residual: bool = True,
        norm_eps: PositiveFloat = 1e-12,
        variant: Literal["official", "paper"] = "official",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.dim, self.distribution, self.variant = dim, distribution, variant
        self.num_heads = largest_divisor(dim, 8) if num_heads is None else num_heads
        check_divisible(NAME, "dim", dim, "num_heads", self.num_heads)
        self.sampling, self.eps = sampling, eps
        self.k, self.beta, self.sigma_posterior = k, beta, sigma_posterior
        dd: Any = {"device": device, "dtype": dtype}
        self.query, self.key, self.value, self.dense = (nn.Linear(dim, dim, **dd) for _ in range(4))
        self.LayerNorm = nn.LayerNorm(dim, norm_eps, **dd) if residual else None
        self.prior_net = None
        if prior == "contextual":
            width = dim // self.num_heads
            self.prior_net = PriorNet(width, prior_hidden, prior_activation, dd)
        learned, weibull = prior == "parameter", distribution == "weibull"
        self.alpha = _number(alpha, learned and weibull, dd)
        self.sigma_prior = _number(sigma_prior, learned and not weibull, dd)
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
        if self.training and self.sampling:
            found = self.attend(x, mask, noise=noise, generator=generator)
            self.kl = found.kl
            return take_part(found.y, self._of_prior())
        q, k, v = self._heads(x, mask)
        y = self._finish(x, attend(q, k, v, mask), mask)
        return take_part(y, self._of_prior()) if self.training else y

    def _of_prior(self) -> list[Tensor]:
        """The parameters that only the divergence trains."""
        learned: list[Tensor] = [p for p in (self.alpha, self.sigma_prior) if isinstance(p, Tensor)]
        return learned if self.prior_net is None else [*learned, *self.prior_net.parameters()]

    def attend(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        sample: bool | None = None,
    ) -> BayesianAttended:
        """All that is computed.

        Args:
            noise: (B, heads, N, N), uniform for the Weibull, standard normal for the lognormal;
                else drawn by `generator`.
            sample: whether to draw; by default in training if `sampling`. True in eval gives the
                draws by which the paper measures uncertainty.
        """
        q, k, v = self._heads(x, mask)
        keys = None if mask is None else mask[:, None, None]
        weights = masked_softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[3]), keys)
        logits = torch.log(weights + self.eps)
        prior = None if self.prior_net is None else masked_softmax(self.prior_net(k), keys)
        if self.training and self.sampling if sample is None else sample:
            draw = self._draw(logits, noise, generator)
            weights = masked_softmax(draw, keys)
        pairs = None if mask is None else mask[:, None, :, None] & mask[:, None, None]
        kl = masked_mean(self._kl(logits, prior), pairs)
        return BayesianAttended(self._finish(x, weights @ v, mask), weights, kl, prior)

    def _heads(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        check_shape(NAME, "x", x, ("B", "N", self.dim))
        check_mask(NAME, mask, x)
        parts = (layer(x) for layer in (self.query, self.key, self.value))
        q, k, v = (part.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for part in parts)
        return q, k, v

    def _draw(
        self, logits: Tensor, noise: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        """The logarithm of a draw of the unnormalised weights."""
        if noise is not None:
            check_shape(NAME, "noise", noise, tuple(logits.shape))
        if self.distribution == "weibull":
            noise = uniform(logits.shape, logits, generator) if noise is None else noise
            return logits - math.lgamma(1 + 1 / self.k) + log_weibull(noise, self.k, self.eps)
        noise = normal(logits.shape, logits, generator) if noise is None else noise
        return logits - self.sigma_posterior**2 / 2 + self.sigma_posterior * noise

    def _kl(self, logits: Tensor, prior: Tensor | None) -> Tensor:
        """Divergence of each weight's distribution from its prior, (B, heads, N, N)."""
        if self.distribution == "weibull":
            alpha = self.alpha if prior is None else prior * self.beta
            k, alpha = logits.new_tensor(self.k), torch.as_tensor(alpha).to(logits)
            log_scale = logits - math.lgamma(1 + 1 / self.k)
            kl = weibull_gamma_kl(k, log_scale, alpha, self.beta, self.eps)
            dropped = math.log(self.k) - EULER_GAMMA - 1
            return kl - dropped if self.variant == "official" else kl
        mean = logits - self.sigma_posterior**2 / 2
        sigma = logits.new_tensor(self.sigma_posterior)
        prior_sigma = torch.as_tensor(self.sigma_prior).to(logits)
        prior_mean = 0.0 if prior is None else torch.log(prior + self.eps)
        return normal_kl(mean, sigma, prior_mean, prior_sigma)

    def _finish(self, x: Tensor, context: Tensor, mask: Tensor | None) -> Tensor:
        y = self.dense(context.transpose(1, 2).flatten(2))
        if self.LayerNorm is not None:
            y = self.LayerNorm(x + y)
        return y if mask is None else y.masked_fill(~mask[..., None], 0)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "kl": None}  # part of a graph: it cannot be copied


class PriorNet(nn.Module):
    """Keys (B, heads, N, d) -> the logits of the prior (B, heads, 1, N)."""

    def __init__(self, width: int, hidden: int | None, activation: Activation, dd: Any) -> None:
        super().__init__()
        if activation == "none":
            if hidden not in (None, 1):
                what = f"prior_hidden={hidden} without an activation after it is not 1"
                refuse(NAME, what, "leave prior_hidden= out")
            self.se_linear1 = nn.Linear(width, 1, **dd)
            self.act, self.se_linear2 = nn.Identity(), nn.Identity()
            return
        hidden = hidden or 10
        self.se_linear1 = nn.Linear(width, hidden, **dd)
        self.act = _activation(activation)
        self.se_linear2 = nn.Linear(hidden, 1, **dd)

    def forward(self, keys: Tensor) -> Tensor:
        return self.se_linear2(self.act(self.se_linear1(keys))).transpose(2, 3)


def _activation(name: Activation) -> nn.Module:
    if name == "lrelu":
        return nn.LeakyReLU(0.1)
    return {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[name]()


def _number(value: float, learned: bool, dd: Any) -> float | nn.Parameter:
    return nn.Parameter(torch.full((1,), value, **dd)) if learned else value


def read_prior(options: Mapping[str, Any]) -> dict[str, Any]:
    """The authors' code has a prior "constant", which is "fixed" here."""
    own = dict(options)
    if own.get("prior") == "constant":
        own["prior"] = "fixed"
    return own


def reference_keys(state: dict[str, Tensor], module: BayesianAttention) -> dict[str, Tensor]:
    """The authors' state under our names; without a use for it, se_linear2 is left out."""
    names = {"alpha_gamma": "alpha", "sigma_normal_prior": "sigma_prior"}
    found = {
        f"prior_net.{key}" if key.startswith("se_linear") else names.get(key, key): tensor
        for key, tensor in state.items()
    }
    idle = module.prior_net is not None and isinstance(module.prior_net.se_linear2, nn.Identity)
    return {k: v for k, v in found.items() if not (idle and "se_linear2" in k)}


def reference_call(
    module: BayesianAttention, x: Tensor, noise: Tensor | None = None
) -> dict[str, Tensor]:
    """What a reference case records: forward, the weights, the divergence and the prior."""
    y = module(x, noise=noise)
    found = module.attend(x, noise=noise)
    known = {"y": y, "attention": found.attention, "kl": found.kl}
    return known if found.prior is None else {**known, "prior": found.prior}
