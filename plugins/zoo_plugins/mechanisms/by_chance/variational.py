"""Variational attention (Deng et al., NeurIPS 2018, arXiv 1807.03756).

Which memory a query attends to is a latent categorical z, with prior p and, in training, an
inference network's posterior q:

    p = softmax(score(query, memory)),  q = softmax(inference_scores)        (B, S)
    mlp:     score = v^T tanh(W_q query + W_c memory)
    general: score = (W query) . memory;   dot: query . memory
    context = sum_s p_s m_s;   h(c) = tanh(W_o [query; c] + b)               b with mlp only
    kl = sum_s q_s log(q_s / p_s)

and the outputs h(c) are those of

    enum:    every position, c = m_s                                         (S, B, ...)
    sample:  K draws of z from q, c = m_z, with log q(z) and log p(z)        (K, B, ...)
    gumbel:  K relaxed draws z = softmax((log q + G) / temperature), c = sum_s z_s m_s

G is standard Gumbel noise. Without inference scores, or with use_prior, p stands for q.
query: (B, T, Q), or (B, Q) for one step; memory: (B, S, C). Parameter names are the authors'.

The paper's relaxation is a Dirichlet; the authors' released code has the Gumbel softmax, and so
have we. Their reshape of it allows K = 1 only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import UsageError
from zoo.sdk import PositiveFloat, PositiveInt, refuse
from zoo.sdk.attend import check_mask, mask_of_lengths
from zoo.sdk.chance import categorical_kl, gumbel, uniform
from zoo.sdk.inputs import check_shape

NAME = "variational"
MODES = {"exact": "enum", "wsram": "sample"}  # names of the authors' code for one computation
TINY = 1e-20


class Alignment(NamedTuple):
    """What `attend` computes, with T queries; K draws, or S positions with `enum`.

    `output` (K, B, T, Q); `attention` p (B, T, S); `context` (B, T, C); `kl` (B, T);
    `output_soft` h(context), (B, T, Q); `sample` z (K, B, T, S), `log_prob` log q(z) and
    `log_prior` log p(z), (K, B, T), are None where the mode has none.
    """

    output: Tensor
    attention: Tensor
    context: Tensor
    kl: Tensor
    output_soft: Tensor
    sample: Tensor | None
    log_prob: Tensor | None
    log_prior: Tensor | None

    @property
    def log_p_over_q(self) -> Tensor | None:
        """log p(z) - log q(z), (K, B, T): what the authors' `wsram` weighs a draw from q by."""
        if self.log_prob is None or self.log_prior is None:
            return None
        return self.log_prior - self.log_prob


class Variational(nn.Module):
    """(query, memory, mask) -> h (B, T, Q).

    Forward gives h of the expected context; in training with `sample` or `gumbel`, the mean of h
    over the draws. `attend` gives every draw, and what a training objective needs.

    Args:
        dim: C.
        query_dim: Q, by default C.
        attention_dim: width of the mlp score, by default Q.
        score: `"mlp"`, `"general"` or `"dot"` (Q = C).
        mode: `"enum"`, `"sample"` or `"gumbel"`, see above.
        num_samples: K, 1.
        temperature: of gumbel, 1.
        use_prior: draw from p even where q is given; False.
    """

    def __init__(
        self,
        dim: PositiveInt,
        *,
        query_dim: PositiveInt | None = None,
        attention_dim: PositiveInt | None = None,
        score: Literal["mlp", "general", "dot"] = "mlp",
        mode: Literal["enum", "sample", "gumbel"] = "enum",
        num_samples: PositiveInt = 1,
        temperature: PositiveFloat = 1.0,
        use_prior: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        query_dim = dim if query_dim is None else query_dim
        self.dim, self.query_dim, self.score, self.mode = dim, query_dim, score, mode
        self.num_samples, self.temperature, self.use_prior = num_samples, temperature, use_prior
        dd: Any = {"device": device, "dtype": dtype}
        if score == "mlp":
            width = query_dim if attention_dim is None else attention_dim
            self.linear_context = nn.Linear(dim, width, bias=False, **dd)
            self.linear_query = nn.Linear(query_dim, width, bias=False, **dd)
            self.v = nn.Linear(width, 1, bias=False, **dd)
        elif score == "general":
            self.linear_in = nn.Linear(query_dim, dim, bias=False, **dd)
        elif query_dim != dim:
            refuse(NAME, f"score='dot' with dim={dim} and query_dim={query_dim}", "score='general'")
        self.linear_out = nn.Linear(dim + query_dim, query_dim, bias=score == "mlp", **dd)

    def forward(
        self,
        query: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        inference_scores: Tensor | None = None,
        *,
        noise: Tensor | None = None,
        sample_index: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Attend; the arguments are those of `attend`."""
        found = self.attend(
            query, memory, mask, inference_scores,
            noise=noise, sample_index=sample_index, generator=generator, draw=self.training,
        )  # fmt: skip
        h = found.output_soft if found.sample is None else found.output.mean(0)
        return h[:, 0] if query.ndim == 2 else h

    def attend(
        self,
        query: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        inference_scores: Tensor | None = None,
        *,
        noise: Tensor | None = None,
        sample_index: Tensor | None = None,
        generator: torch.Generator | None = None,
        draw: bool = True,
    ) -> Alignment:
        """All that the mode computes.

        Args:
            mask: (B, S), True where a memory is present; nothing present gives a context of zero.
            inference_scores: of q, (B, T, S), or (B, S) for one step.
            noise: of gumbel, uniform, (K, B, T, S). sample_index: the draws z, (K, B, T), or
                (K, B) for one step. Else drawn by `generator`.
            draw: False leaves the draws out, and has h of the context for the only output.
        """
        query = query.unsqueeze(1) if query.ndim == 2 else query
        log_p = self._log_prior(query, memory, mask)
        attention = log_p.exp()
        log_q = log_p
        if inference_scores is not None:
            log_q = _log_softmax(_queries(inference_scores, log_p), mask)
        context = attention @ memory
        soft = self._output(query, context)
        kl = categorical_kl(log_q, log_p)
        chosen = log_p if self.use_prior else log_q
        parts: tuple[Tensor | None, ...] = (None, None, None)
        if self.mode == "enum":
            positions = memory.transpose(0, 1).unsqueeze(2).expand(-1, -1, query.shape[1], -1)
            output = self._output(query, positions) if draw else soft[None]
        elif not draw:
            output = soft[None]
        else:
            if self.mode == "gumbel":
                parts = (self._relax(chosen, noise, generator), None, None)
            else:
                parts = self._pick(chosen, log_p, sample_index, generator)
            assert parts[0] is not None
            output = self._output(query, parts[0] @ memory)
        return Alignment(output, attention, context, kl, soft, *parts)

    def _log_prior(self, query: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """log p, (B, T, S)."""
        check_shape(NAME, "query", query, ("B", "T", self.query_dim))
        check_shape(NAME, "memory", memory, (query.shape[0], "S", self.dim))
        check_mask(NAME, mask, memory)
        if self.score == "mlp":
            hidden = self.linear_query(query).unsqueeze(2) + self.linear_context(memory)[:, None]
            scores = self.v(torch.tanh(hidden)).squeeze(3)
        else:
            query = self.linear_in(query) if self.score == "general" else query
            scores = query @ memory.transpose(1, 2)
        return _log_softmax(scores, mask)

    def _output(self, query: Tensor, context: Tensor) -> Tensor:
        """h, (..., B, T, Q): the query's part of W_o is computed once for all contexts."""
        of_query, of_context = self.linear_out.weight.split([self.query_dim, self.dim], 1)
        part = F.linear(query, of_query, self.linear_out.bias)
        return torch.tanh(part + F.linear(context, of_context))

    def _relax(
        self, log_q: Tensor, noise: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        size = (self.num_samples, *log_q.shape)
        if noise is None:
            noise = uniform(size, log_q, generator)
        check_shape(NAME, "noise", noise, size)
        gone = torch.isneginf(log_q)
        logits = (log_q.masked_fill(gone, 0) + gumbel(noise, TINY)) / self.temperature
        return _log_softmax(logits, ~gone).exp()

    def _pick(
        self,
        log_q: Tensor,
        log_p: Tensor,
        index: Tensor | None,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One-hot draws, log q and log p of them."""
        count, (batch, steps, size) = self.num_samples, log_q.shape
        if index is None:
            weights = log_q.detach().exp().flatten(0, 1)
            weights = weights + (weights.sum(1, keepdim=True) == 0)  # nothing present: any
            index = torch.multinomial(weights, count, True, generator=generator).t()
            index = index.reshape(count, batch, steps)
        else:
            index = index.unsqueeze(2) if index.ndim == 2 else index
            check_shape(NAME, "sample_index", index, (count, batch, steps))
            _check_positions(index, size)
        sample = F.one_hot(index.long(), size).to(log_q.dtype)
        nothing = torch.isneginf(log_p).all(-1)  # present: the draw says nothing
        log_prob, log_prior = (
            log.expand(count, -1, -1, -1)
            .gather(3, index.long()[..., None])
            .squeeze(3)
            .masked_fill(nothing, 0)
            for log in (log_q, log_p)
        )
        return sample, log_prob, log_prior


def read_mode(options: Mapping[str, Any]) -> dict[str, Any]:
    """The authors' code has two modes by two names each."""
    own = dict(options)
    if "mode" in own:
        own["mode"] = MODES.get(own["mode"], own["mode"])
    return own


def _log_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Over the last dimension, -inf where `mask`, (B, S) or of the scores' shape, is False."""
    if mask is None:
        return scores.log_softmax(-1)
    gone = ~(mask.unsqueeze(1) if mask.ndim == 2 else mask)
    log = scores.masked_fill(gone, torch.finfo(scores.dtype).min).log_softmax(-1)
    return log.masked_fill(gone, -torch.inf)


def _check_positions(index: Tensor, size: int) -> None:
    whole = not (index.is_floating_point() or index.is_complex())
    if not whole or int(index.min()) < 0 or int(index.max()) >= size:
        raise UsageError(
            f"sample_index is not made of positions 0 to {size - 1}",
            where=f"attention {NAME!r}",
        )


def _queries(scores: Tensor, like: Tensor) -> Tensor:
    scores = scores.unsqueeze(1) if scores.ndim == 2 else scores
    check_shape(NAME, "inference_scores", scores, tuple(like.shape))
    return scores


def reference_call(
    module: Variational,
    query: Tensor,
    memory: Tensor,
    lengths: Tensor,
    inference_scores: Tensor | None = None,
    draw: Tensor | None = None,
) -> dict[str, Tensor]:
    """What a reference case of one step records; `draw` is the noise, or the drawn indices."""
    mask = mask_of_lengths(lengths, memory.shape[1])
    noise, index = (draw, None) if module.mode == "gumbel" else (None, draw)
    found = module.attend(query, memory, mask, inference_scores, noise=noise, sample_index=index)
    known = {
        "output": found.output.squeeze(2),
        "attention": found.attention[:, 0],
        "context": found.context[:, 0],
        "kl": found.kl[:, 0],
        "output_soft": found.output_soft[:, 0],
    }
    if found.sample is not None:
        known["sample"] = found.sample.squeeze(2)
        known["relaxed_sample"] = found.sample[0]
    if found.log_prob is not None and found.log_prior is not None:
        log_q, log_p = found.log_prob[..., 0], found.log_prior[..., 0]
        known |= {"log_prob": log_q, "log_prob_q": log_q, "log_prob_p": log_p}
        known["log_p_over_q"] = known["log_ratio"] = log_p - log_q
    return known
