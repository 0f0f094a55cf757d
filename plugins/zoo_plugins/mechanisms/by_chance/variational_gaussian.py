"""Variational attention with a Gaussian context (Bahuleyan et al., COLING 2018, arXiv 1712.08207).

    a = softmax(score(query, memory)),  mean = sum_s a_s m_s
    log sigma = W2 tanh(W1 mean + b1) + b2
    context = mean + temperature e exp(log sigma),      e ~ N(0, I)
    h = W [query; context]
    kl = KL(N(mean, sigma^2) || N(m, I)),   m = the mean of the memory, or 0

multiplicative (Luong): score = query . (U memory); additive (Bahdanau): v . tanh(Q query + U
memory). query: (B, T, Q), or (B, Q) for one step; memory: (B, S, C); h: (B, T, out_dim). In eval
the context is its mean. Parameter names are the authors' (TensorFlow) variables.

The layer gives log sigma, not the log of the variance. The authors' mean of the memory leaves out
rows that sum to zero; ours leaves out what the mask does.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt
from zoo.sdk.attend import check_mask, mask_of_lengths, masked_softmax
from zoo.sdk.chance import normal, normal_kl
from zoo.sdk.inputs import check_shape
from zoo.sdk.precision import wide_matmul

NAME = "variational_gaussian"


class GaussianContext(NamedTuple):
    """h (B, T, out_dim), attention (B, T, S), mean, log_sigma and sample (B, T, C), kl (B, T)."""

    output: Tensor
    attention: Tensor
    mean: Tensor
    log_sigma: Tensor
    sample: Tensor
    kl: Tensor


class VariationalGaussian(nn.Module):
    """(query, memory, mask) -> h (B, T, out_dim).

    Args:
        dim: C.
        query_dim: Q, by default C.
        out_dim: width of h, by default Q.
        temperature: of the noise, 1.
        prior: `"mean"` of the memory, or `"zero"`.
        score: `"multiplicative"` or `"additive"`, of width query_dim.
    """

    def __init__(
        self,
        dim: PositiveInt,
        *,
        query_dim: PositiveInt | None = None,
        out_dim: PositiveInt | None = None,
        temperature: PositiveFloat = 1.0,
        prior: Literal["mean", "zero"] = "mean",
        score: Literal["multiplicative", "additive"] = "multiplicative",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        width = self.query_dim = dim if query_dim is None else query_dim
        self.dim = dim
        self.temperature, self.prior, self.score = temperature, prior, score
        dd: Any = {"device": device, "dtype": dtype}
        self.memory_layer = nn.Linear(dim, width, bias=False, **dd)
        if score == "additive":
            self.query_layer = nn.Linear(width, width, bias=False, **dd)
            self.attention_v = nn.Parameter(torch.randn(width, **dd))
        self.c_log_sigma_intermediate = nn.Linear(dim, dim, **dd)
        self.c_log_sigma = nn.Linear(dim, dim, **dd)
        outputs = width if out_dim is None else out_dim
        self.attention_layer = nn.Linear(width + dim, outputs, bias=False, **dd)

    def forward(
        self,
        query: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Attend; the arguments are those of `attend`."""
        h = self.attend(query, memory, mask, noise=noise, generator=generator).output
        return h[:, 0] if query.ndim == 2 else h

    def attend(
        self,
        query: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> GaussianContext:
        """All that is computed.

        Args:
            mask: (B, S), True where a memory is present.
            noise: e, (B, T, C), or (B, C) for one step; else drawn by `generator` in training,
                and 0 in eval.
        """
        query = query.unsqueeze(1) if query.ndim == 2 else query
        check_shape(NAME, "query", query, ("B", "T", self.query_dim))
        check_shape(NAME, "memory", memory, (query.shape[0], "S", self.dim))
        check_mask(NAME, mask, memory)
        if mask is not None:
            memory = memory.masked_fill(~mask[..., None], 0)
        attention = masked_softmax(
            self._scores(query, memory), None if mask is None else mask[:, None]
        )
        attention = attention.to(memory.dtype)
        mean = attention @ memory
        log_sigma = self.c_log_sigma(torch.tanh(self.c_log_sigma_intermediate(mean)))
        sample = mean
        if noise is not None or self.training:
            noise = self._noise(mean, noise, generator)
            sample = mean + self.temperature * noise * torch.exp(log_sigma)
        prior = self._prior_mean(memory, mask)
        kl = normal_kl(mean, log_sigma.exp(), prior, mean.new_ones(())).sum(2)
        output = self.attention_layer(torch.cat([query, sample], 2))
        return GaussianContext(output, attention, mean, log_sigma, sample, kl)

    def _scores(self, query: Tensor, memory: Tensor) -> Tensor:
        """(B, T, S)."""
        keys = self.memory_layer(memory)
        if self.score == "multiplicative":
            return wide_matmul(query, keys.transpose(1, 2))
        return torch.tanh(self.query_layer(query).unsqueeze(2) + keys[:, None]) @ self.attention_v

    def _noise(
        self, mean: Tensor, noise: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        if noise is None:
            return normal(mean.shape, mean, generator)
        noise = noise.unsqueeze(1) if noise.ndim == 2 else noise
        check_shape(NAME, "noise", noise, tuple(mean.shape))
        return noise

    def _prior_mean(self, memory: Tensor, mask: Tensor | None) -> Tensor | float:
        """(B, 1, C), of a memory that is zero where it is absent."""
        if self.prior == "zero":
            return 0.0
        if mask is None:
            return memory.mean(1, keepdim=True)
        count = mask.sum(1).clamp(min=1)[:, None, None]
        return memory.sum(1, keepdim=True) / count


def reference_call(
    module: VariationalGaussian,
    query: Tensor,
    memory: Tensor,
    lengths: Tensor,
    noise: Tensor | None = None,
) -> dict[str, Tensor]:
    """What a reference case of one step records."""
    mask = mask_of_lengths(lengths, memory.shape[1])
    found = module.attend(query, memory, mask, noise=noise)
    names = ("attention_output", "attention", "mean", "log_sigma", "sample", "kl")
    return {name: part[:, 0] for name, part in zip(names, found, strict=True)}
