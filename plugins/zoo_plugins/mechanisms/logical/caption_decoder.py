"""The caption decoder of "Show, attend and tell" (arXiv 1502.03044, section 3.1.2).

    h_0, c_0 = init(mean_n a_n)
    z_t = attention(h_{t-1}, a)                      soft or hard, gated
    h_t, c_t = LSTM([E y_{t-1}; z_t], (h_{t-1}, c_{t-1}))
    p(y_t) = softmax(L_o tanh(L_h h_t + E y_{t-1} + L_z z_t))

Two forms of it are in use:

- `original`, of the authors' Theano code: words are given as they are to be said, and are shifted
  by one step inside (the first step sees zeros); h_0 and c_0 end in tanh; E y and L_z z are in the
  output only with `prev2out` and `ctx2out`.
- `tutorial` (sgrvinod, MIT): captions are given with their start word, step t sees word t and says
  word t + 1; no tanh at the start; the output is one layer on h.

A step whose word is masked leaves the state as it was.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import refuse
from zoo.sdk.inputs import check_shape
from zoo_plugins.mechanisms.logical.show_attend_tell import NAME, Attended, SoftAttention

Form = Literal["original", "tutorial"]
State = tuple[Tensor, Tensor]


class Decoded(NamedTuple):
    """What a caption of T words gives, batch first.

    logits (B, T, V), hidden (B, T, D), attention (B, T, N), context (B, T, C), gate (B, T) or
    (B, T, C); of hard attention the choices and their log-probabilities, (B, T).
    """

    logits: Tensor
    hidden: Tensor
    attention: Tensor
    context: Tensor
    gate: Tensor
    choice: Tensor | None
    log_prob: Tensor | None


class Readout(nn.Module):
    """L_o tanh(L_h h + E y + L_z z), without the terms that are not asked for."""

    def __init__(
        self,
        hidden: int,
        words: int,
        dim: int,
        vocab: int,
        prev2out: bool,
        ctx2out: bool,
        **dd: Any,
    ) -> None:
        super().__init__()
        self.prev2out = prev2out
        self.hidden = nn.Linear(hidden, words, **dd)
        self.context = nn.Linear(dim, words, **dd) if ctx2out else None
        self.output = nn.Linear(words, vocab, **dd)

    def forward(self, hidden: Tensor, embedded: Tensor, context: Tensor) -> Tensor:
        x = self.hidden(hidden)
        if self.prev2out:
            x = x + embedded
        if self.context is not None:
            x = x + self.context(context)
        return self.output(torch.tanh(x))


class CaptionDecoder(nn.Module):
    """features (B, N, C) or (B, H, W, C), words int64 (B, T) -> logits (B, T, V).

    Args:
        attention: soft or hard; gives C and D.
        vocab_size: V. embed_dim: width of a word.
        form: `original` or `tutorial`, see above.
        prev2out, ctx2out: whether E y and L_z z are in the output of the form `original`, as they
            are by default and in the paper (the authors' code: False). `tutorial` has neither.
    """

    def __init__(
        self,
        attention: SoftAttention,
        *,
        vocab_size: int,
        embed_dim: int,
        form: Form = "original",
        prev2out: bool | None = None,
        ctx2out: bool | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        for name, term in (("prev2out", prev2out), ("ctx2out", ctx2out)):
            if term and form == "tutorial":
                refuse(NAME, f"{name}=True: the decoder of the tutorial has no such term")
        dim, hidden, words, vocab = attention.dim, attention.query_dim, embed_dim, vocab_size
        self.form, self.attention = form, attention
        self.embedding = nn.Embedding(vocab, words, **dd)
        self.init_h = nn.Linear(dim, hidden, **dd)
        self.init_c = nn.Linear(dim, hidden, **dd)
        self.lstm = nn.LSTMCell(words + dim, hidden, **dd)
        self.readout: nn.Module = nn.Linear(hidden, vocab, **dd)
        if form == "original":
            terms = (term is not False for term in (prev2out, ctx2out))
            self.readout = Readout(hidden, words, dim, vocab, *terms, **dd)

    def forward(
        self,
        features: Tensor,
        words: Tensor,
        mask: Tensor | None = None,
        *,
        word_mask: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Logits of every step, the words before it being given (teacher forcing).

        Args:
            words: of the captions; in the form `tutorial` with the start word before and without
                the end word.
            mask: (B, N) of the features. word_mask: (B, T) of the words.
            generator: of hard attention's draws in training.
        """
        drawing = {} if generator is None else {"generator": generator}
        return self.decode(features, words, mask, word_mask=word_mask, **drawing).logits

    def decode(
        self,
        features: Tensor,
        words: Tensor,
        mask: Tensor | None = None,
        *,
        word_mask: Tensor | None = None,
        **drawing: Any,
    ) -> Decoded:
        """As `forward`, with the states and the attention; `drawing` goes to `HardAttention.look`.

        `choice=` (B, T) is one of them: the annotations to take, instead of drawing.
        """
        features = features.flatten(1, -2)
        check_shape(NAME, "features", features, ("B", "N", self.attention.dim))
        embedded = self.embed(words)
        projected = self.attention.additive.project(features)
        choices = drawing.pop("choice", None)
        state = self.start(features, mask)
        steps: list[tuple[Tensor, Attended]] = []
        for t in range(words.shape[1]):
            if choices is not None:
                drawing["choice"] = choices[:, t]
            attended = self.attention.look(state[0], features, projected, mask, **drawing)
            present = None if word_mask is None else word_mask[:, t]
            state = self._step(embedded[:, t], attended.context, state, present)
            steps.append((state[0], attended))
        return self._gather(steps, embedded)

    @torch.no_grad()
    def say(
        self,
        features: Tensor,
        steps: int,
        *,
        start: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The likeliest word of each step, which the next step sees: (B, T), attention (B, T, N).

        Args:
            start: int64 (B,), the start word of the form `tutorial`.
        """
        features = features.flatten(1, -2)
        projected = self.attention.additive.project(features)
        state = self.start(features, mask)
        seen = state[0].new_zeros(len(features), self.embedding.embedding_dim)
        if start is not None:
            seen = self.embedding(start)
        words, attention = [], []
        for _ in range(steps):
            attended = self.attention.look(state[0], features, projected, mask)
            state = self._step(seen, attended.context, state)
            words.append(self._logits(state[0], seen, attended.context).argmax(1))
            attention.append(attended.weights)
            seen = self.embedding(words[-1])
        return torch.stack(words, 1), torch.stack(attention, 1)

    def start(self, features: Tensor, mask: Tensor | None = None) -> State:
        """h_0 and c_0 of the mean annotation."""
        if mask is None:
            mean = features.mean(1)
        else:
            present = mask.unsqueeze(-1).to(features.dtype)
            mean = (features * present).sum(1) / present.sum(1).clamp_min(1)
        hidden, cell = self.init_h(mean), self.init_c(mean)
        return (hidden, cell) if self.form == "tutorial" else (hidden.tanh(), cell.tanh())

    def embed(self, words: Tensor) -> Tensor:
        """What each step sees, (B, T, E)."""
        embedded = self.embedding(words)
        if self.form == "tutorial":
            return embedded
        return torch.cat((torch.zeros_like(embedded[:, :1]), embedded[:, :-1]), 1)

    def _gather(self, steps: list[tuple[Tensor, Attended]], embedded: Tensor) -> Decoded:
        hidden = torch.stack([h for h, _ in steps], 1)
        looks = [
            torch.stack(list(parts), 1) if parts[0] is not None else None
            for parts in zip(*(attended for _, attended in steps), strict=True)
        ]
        context, attention, gate, choice, log_prob = looks
        assert context is not None and attention is not None and gate is not None
        logits = self._logits(hidden, embedded, context)
        return Decoded(logits, hidden, attention, context, gate, choice, log_prob)

    def _logits(self, hidden: Tensor, embedded: Tensor, context: Tensor) -> Tensor:
        given = (hidden,) if self.form == "tutorial" else (hidden, embedded, context)
        return self.readout(*given)

    def _step(
        self, word: Tensor, context: Tensor, state: State, present: Tensor | None = None
    ) -> State:
        x = torch.cat((word, context), 1)
        return self.lstm(x, state) if present is None else _held(self.lstm, x, state, present)


def _held(lstm: nn.LSTMCell, x: Tensor, state: State, mask: Tensor) -> State:
    """One step of the LSTM where the mask (B,) is 1, none where it is 0.

    A mask of real numbers mixes as in the authors' code: the output gate is applied to the mixed
    cell, and its result is mixed again.
    """
    hidden, cell = state
    share = mask.to(cell.dtype).unsqueeze(1)
    gates = F.linear(x, lstm.weight_ih, lstm.bias_ih) + F.linear(
        hidden, lstm.weight_hh, lstm.bias_hh
    )
    i, f, g, o = gates.chunk(4, 1)
    new = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    cell = share * new + (1 - share) * cell
    return share * torch.sigmoid(o) * torch.tanh(cell) + (1 - share) * hidden, cell
