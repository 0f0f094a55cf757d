"""Prophet attention (Liu et al., NeurIPS 2020, arXiv 2210.10914).

Attention of a caption decoder looks with the state before a word, so it tends to look at what the
last word said. In training, when the words are known, a prophet looks with the words themselves,
and the attention is asked to have looked there:

    alpha_t = softmax_n(v . tanh(W_m a_n + b + W_q h_t))           the attention, from the state h_t
    g_1 .. g_T = BiLSTM(y_1 .. y_T)                               the words, each seen in context
    prophet_t = softmax_n(v' . tanh(W'_m a_n + b' + W'_q mean(g_i .. g_j)))
    L = L_captions + lambda sum_t |alpha_t - prophet_t|_1

The span (i, j) of a word t, j >= t, tells the forms: `spans=None` is the word alone, (t, t); the
dynamic form gives all words of one noun phrase that phrase's span, so that they look at one place,
and leaves the words that name nothing visible out of the sum (`visual`).

There is no code of the authors, and the text was not at hand. Chosen here: the states of a span
enter the score as their mean; the BiLSTM runs over the whole caption, not over each span anew;
prophet and attention have the same parameters, or their own (`shared=False`); the gradient of the
loss reaches both, unless `detach=True` makes the prophet a fixed target; the loss is the mean over
captions of the sum over words.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveInt, refuse
from zoo.sdk.attend import check_mask, check_tokens, masked_softmax
from zoo.sdk.inputs import check_shape
from zoo.sdk.lstm import where_it_runs
from zoo.sdk.take_part import take_part
from zoo_plugins.mechanisms.logical.additive import AdditiveAttention, over_queries

NAME = "prophet"


class Foretold(NamedTuple):
    """What T words of a caption give.

    context, ideal_context (B, T, C): from the attention, and from the prophet; a decoder is trained
    on the latter too. weights, ideal_weights (B, T, N). deviation: the loss, a number.
    """

    context: Tensor
    ideal_context: Tensor
    weights: Tensor
    ideal_weights: Tensor
    deviation: Tensor


class ProphetAttention(nn.Module):
    """query (B, T, D), memory (B, N, C), mask (B, N) -> context (B, T, C).

    Args:
        dim: C of the regions.
        query_dim: D of the decoder's state, by default C; even, as it is also the width of the
            BiLSTM's two directions.
        attention_dim: the width of the sum, by default C.
        word_dim: of an embedded word, by default D.
        shared: the prophet scores with the attention's own parameters.
        detach: no gradient of the loss goes into the prophet.

    `foretell` is for training; `forward` knows no words and is what a decoder uses.
    """

    def __init__(
        self,
        dim: PositiveInt,
        *,
        query_dim: PositiveInt | None = None,
        attention_dim: PositiveInt | None = None,
        word_dim: PositiveInt | None = None,
        shared: bool = True,
        detach: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.dim, self.detach = dim, detach
        self.query_dim = dim if query_dim is None else query_dim
        if self.query_dim % 2:
            refuse(NAME, f"query_dim={self.query_dim} is odd: it has the LSTM's two directions")
        width = dim if attention_dim is None else attention_dim
        words = self.query_dim if word_dim is None else word_dim
        dd: Any = {"device": device, "dtype": dtype}
        self.attention = AdditiveAttention(self.dim, self.query_dim, width, **dd)
        self.prophet: AdditiveAttention | None = None
        if not shared:
            self.prophet = AdditiveAttention(self.dim, self.query_dim, width, **dd)
        self.words = nn.LSTM(words, self.query_dim // 2, bidirectional=True, batch_first=True, **dd)

    def forward(
        self,
        query: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        """The attention's context, (B, T, C)."""
        self._check(query, memory, mask)
        context = self._weights(self.attention, query, memory, mask) @ memory
        return take_part(context, self._foretelling()) if self.training else context

    def _foretelling(self) -> list[Tensor]:
        """The parameters that only `foretell` uses."""
        own = [] if self.prophet is None else list(self.prophet.parameters())
        return [*self.words.parameters(), *own]

    def foretell(
        self,
        query: Tensor,
        memory: Tensor,
        words: Tensor,
        *,
        mask: Tensor | None = None,
        spans: Tensor | None = None,
        word_mask: Tensor | None = None,
        visual: Tensor | None = None,
    ) -> Foretold:
        """The attention, the prophet, and how far they are apart.

        Args:
            words: (B, T, E), embedded; word t is the one that is said with query t.
            spans: int64 (B, T, 2), first and last word (included) that the prophet sees at t.
            word_mask: bool (B, T), the words of each caption: a start of the row.
            visual: bool (B, T), words that count in the loss. Default: all words.
        """
        self._check(query, memory, mask)
        check_shape(NAME, "words", words, (*query.shape[:2], self.words.input_size))
        seen = span_means(self.read(words, word_mask), spans)
        weights = self._weights(self.attention, query, memory, mask)
        ideal = self._weights(self.prophet or self.attention, seen, memory, mask)
        counted = _both(word_mask, visual)
        target = ideal.detach() if self.detach else ideal
        loss = deviation(weights, target, counted)
        return Foretold(weights @ memory, ideal @ memory, weights, ideal, loss)

    def read(self, words: Tensor, word_mask: Tensor | None = None) -> Tensor:
        """The words in context (B, T, D); nothing of the padding enters."""
        words = words.to(self.words.get_parameter("weight_ih_l0").dtype)
        with where_it_runs(words):
            return self._read(words, word_mask)

    def _read(self, words: Tensor, word_mask: Tensor | None) -> Tensor:
        if word_mask is None:
            return self.words(words)[0]
        lengths = word_mask.sum(1).clamp_min(1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(words, lengths, True, enforce_sorted=False)
        states = self.words(packed)[0]
        total = words.shape[1]
        return nn.utils.rnn.pad_packed_sequence(states, True, total_length=total)[0]

    def _weights(
        self, attention: AdditiveAttention, query: Tensor, memory: Tensor, mask: Tensor | None
    ) -> Tensor:
        scores = attention.scores(query, attention.project(memory))
        return masked_softmax(scores, over_queries(mask, query))

    def _check(self, query: Tensor, memory: Tensor, mask: Tensor | None) -> None:
        check_tokens(NAME, "query", query, self.query_dim)
        check_tokens(NAME, "memory", memory, self.dim)
        check_mask(NAME, mask, memory)


def span_means(states: Tensor, spans: Tensor | None) -> Tensor:
    """Mean of states (B, T, D) over each span (B, T, 2), both ends included."""
    if spans is None:
        return states
    at = torch.arange(states.shape[1], device=states.device)
    inside = (at >= spans[..., :1]) & (at <= spans[..., 1:])  # (B, T, T)
    share = inside.to(states.dtype)
    return (share / share.sum(-1, keepdim=True).clamp_min(1)) @ states


def deviation(weights: Tensor, ideal: Tensor, counted: Tensor | None = None) -> Tensor:
    """Mean over captions of sum_t |alpha_t - prophet_t|_1; each term is from 0 to 2."""
    apart = (weights - ideal).abs().sum(-1)
    if counted is not None:
        apart = apart * counted.to(apart.dtype)
    return apart.sum(1).mean()


def noun_phrase_spans(phrase: Tensor) -> tuple[Tensor, Tensor]:
    """Spans and the words that count, from the noun phrase that each word is of.

    Args:
        phrase: int64 (B, T); words of one phrase have one number, in a row; -1 is no phrase.

    Returns:
        spans (B, T, 2): that of the word's phrase, else (t, t). visual (B, T): phrase >= 0.
    """
    at = torch.arange(phrase.shape[1], device=phrase.device).expand_as(phrase)
    visual = phrase >= 0
    same = (phrase[:, :, None] == phrase[:, None, :]) & visual[:, :, None]
    last = torch.where(same, at[:, None, :], -1).max(-1)[0]
    first = torch.where(same, at[:, None, :], phrase.shape[1]).min(-1)[0]
    spans = torch.stack((torch.where(visual, first, at), torch.where(visual, last, at)), -1)
    return spans, visual


def _both(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a & b
