"""Show, attend and tell (Xu et al., ICML 2015, arXiv 1502.03044, sections 3.1.2 and 4).

    e_n = v . act(W_m a_n + b + W_h h),    alpha = softmax_n(e)            N annotations a, state h
    soft:  z = sum_n alpha_n a_n
    hard:  s ~ Multinoulli(alpha),   z = a_s         the expectation of which is the soft z
    beta = sigmoid(w . h + b),   z -> beta z         the gate of section 4.2.1

The authors' Theano code has tanh, A = C, one number beta, and more layers on the annotations if
asked (`num_layers`); the tutorial that most ports follow (sgrvinod, MIT) has ReLU, a width A of
its own and a gate for each channel. Both are reached here, and either can be mixed.

With `vocab_size` the result is the whole caption decoder of `caption_decoder.py`.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from zoo.sdk.attend import check_mask, check_tokens, masked_softmax
from zoo_plugins.mechanisms.logical.additive import AdditiveAttention, over_queries

NAME = "show_attend_tell"


class Attended(NamedTuple):
    """What one look gives; "..." are the queries' dimensions.

    context (B, ..., C) after the gate; weights (B, ..., N); gate (B, ...) or (B, ..., C), ones
    without a gate; of hard attention the choice, an index (B, ...), and the log of its weight.
    """

    context: Tensor
    weights: Tensor
    gate: Tensor
    choice: Tensor | None = None
    log_prob: Tensor | None = None


class SoftAttention(nn.Module):
    """query (B, D) or (B, Q, D), memory (B, N, C), mask (B, N) -> context (B, C) or (B, Q, C).

    Args:
        dim: C of the annotations.
        query_dim: D of the state, by default C.
        attention_dim: A, the width of the sum, by default C.
        num_layers: layers on the annotations.
        activation: of the sum; `relu` in the tutorial.
        gate: one number, `vector` for one of each channel, or None.
        bias: in the layers from the annotations.
        temperature: multiplies the scores before the softmax.

    A masked annotation gets no weight; where all are masked the context is zero.
    """

    def __init__(
        self,
        dim: int,
        *,
        query_dim: int | None = None,
        attention_dim: int | None = None,
        num_layers: int = 1,
        activation: Literal["tanh", "relu"] = "tanh",
        gate: Literal["scalar", "vector"] | None = "scalar",
        bias: bool = True,
        temperature: float = 1.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.dim, self.temperature = dim, temperature
        self.query_dim = dim if query_dim is None else query_dim
        self.additive = AdditiveAttention(
            dim,
            self.query_dim,
            dim if attention_dim is None else attention_dim,
            num_layers=num_layers,
            activation=activation,
            bias=bias,
            **dd,
        )
        self.gate: nn.Linear | None = None
        if gate is not None:
            self.gate = nn.Linear(self.query_dim, 1 if gate == "scalar" else dim, **dd)

    def forward(self, query: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        check_tokens(NAME, "memory", memory, self.dim)
        check_mask(NAME, mask, memory)
        return self.look(query, memory, self.additive.project(memory), mask).context

    def look(
        self, query: Tensor, memory: Tensor, projected: Tensor, mask: Tensor | None = None
    ) -> Attended:
        """One look; `projected` is `additive.project(memory)`, the same for every query."""
        weights = self._weights(query, projected, mask)
        gate = self._gate(query)
        return Attended(_gated(_mean(weights, memory), gate), weights, gate)

    def _weights(self, query: Tensor, projected: Tensor, mask: Tensor | None) -> Tensor:
        scores = self.additive.scores(query, projected)
        return masked_softmax(scores * self.temperature, over_queries(mask, query))

    def _gate(self, query: Tensor) -> Tensor:
        if self.gate is None:
            return query.new_ones(query.shape[:-1])
        gate = torch.sigmoid(self.gate(query))
        return gate.squeeze(-1) if self.gate.out_features == 1 else gate


class HardAttention(SoftAttention):
    """As `SoftAttention`, but the context is that of one annotation.

    In eval it is the most likely one. In training it is drawn, from `generator` or the global
    random state; the value is that of the draw, and the gradient of the weights is the
    score-function estimate for whatever loss follows, taken as linear in the context (its mean is
    the gradient of soft attention). `caption_losses.reinforced` has the paper's own estimate,
    which rewards the draws of a whole caption.

    Args:
        semi_sampling_p: with this probability a context is drawn in training, otherwise it is the
            soft one (section 4.1: "with probability 0.5 for a given image"; the authors' code
            tosses one coin for the whole batch). 1 always draws.
        **options: of `SoftAttention`.
    """

    def __init__(self, dim: int, *, semi_sampling_p: float = 0.5, **options: Any) -> None:
        super().__init__(dim, **options)
        self.semi_sampling_p = semi_sampling_p

    def forward(
        self,
        query: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        check_tokens(NAME, "memory", memory, self.dim)
        check_mask(NAME, mask, memory)
        projected = self.additive.project(memory)
        return self.look(query, memory, projected, mask, generator=generator).context

    def look(
        self,
        query: Tensor,
        memory: Tensor,
        projected: Tensor,
        mask: Tensor | None = None,
        *,
        choice: Tensor | None = None,
        generator: torch.Generator | None = None,
        estimate: bool = True,
    ) -> Attended:
        """One look.

        Args:
            choice: int64 (B, ...), take these annotations instead of drawing, all of them hard.
            estimate: let the draw's context carry the score-function gradient of the weights.
        """
        weights = self._weights(query, projected, mask)
        drawn = self.training and choice is None
        if choice is None:
            choice = draw(weights, generator) if drawn else weights.argmax(-1)
        chosen = take(memory, choice)
        if mask is not None:  # where nothing is present, nothing is chosen
            chosen = chosen * (weights.detach().sum(-1, keepdim=True) > 0)
        likely = weights.gather(-1, choice.unsqueeze(-1)).squeeze(-1)
        log_prob = likely.clamp_min(torch.finfo(weights.dtype).tiny).log()
        context = chosen
        if drawn:
            soft = _mean(weights, memory)
            if estimate:
                score = (log_prob - log_prob.detach()).unsqueeze(-1)
                context = context + score * (chosen - soft).detach()
            context = torch.where(self._coin(log_prob, generator), context, soft)
        gate = self._gate(query)
        return Attended(_gated(context, gate), weights, gate, choice, log_prob)

    def _coin(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """(B, ..., 1), True where the context is the drawn one."""
        shape = (len(like), *[1] * like.ndim)
        tossed = torch.rand(shape, generator=generator, device=_device(generator, like))
        return tossed.to(like.device) < self.semi_sampling_p


def draw(weights: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """An index for each row of (B, ..., N); rows of zeros give any."""
    rows = weights.detach().flatten(0, -2)
    rows = rows + (rows.sum(-1, keepdim=True) == 0)
    at = _device(generator, weights)
    index = torch.multinomial(rows.to(at), 1, generator=generator)
    return index.to(weights.device).view(weights.shape[:-1])


def take(memory: Tensor, index: Tensor) -> Tensor:
    """memory (B, N, C), index (B, ...) -> (B, ..., C)."""
    flat = index.unsqueeze(1).flatten(1).unsqueeze(2).expand(-1, -1, memory.shape[-1])
    return memory.gather(1, flat).view(*index.shape, memory.shape[-1])


def _device(generator: torch.Generator | None, like: Tensor) -> torch.device:
    return like.device if generator is None else generator.device


def _mean(weights: Tensor, memory: Tensor) -> Tensor:
    if weights.ndim == 2:
        return (weights.unsqueeze(1) @ memory).squeeze(1)
    return weights @ memory


def _gated(context: Tensor, gate: Tensor) -> Tensor:
    return context * (gate if gate.ndim == context.ndim else gate.unsqueeze(-1))
