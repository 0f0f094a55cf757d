"""Diversified visual attention (DVAN; Zhao et al., IEEE TMM 2017, arXiv 1606.08572).

An LSTM looks at T canvases, pictures of one object from the whole to its parts, one a step:

    a_t = softmax_i(W_i . h_{t-1})              over the positions i of canvas t's features X_t
    x_t = sum_i a_ti X_ti
    h_t, c_t = LSTM(x_t, (h_{t-1}, c_{t-1}))
    p_t = softmax(W h_t),     p = mean_t p_t
    L = mean_t CE(p_t) + lambda L_div,   L_div = 1 / (T - 1) sum_{t>1} sum_i a_{t-1,i} a_{t,i}

L_div is least where no two steps in a row look at the same place, and 1 where they look at one.

No code was released, and the text was not at hand. Chosen here: W_i is a row for each position, as
in the recurrent attention that the paper builds on (Sharma et al., arXiv 1511.04119), from which
also h_0 = tanh(W mean X) and c_0 likewise come; overlap is that of the same positions of two
canvases; the classes' losses are averaged over the steps; lambda = 1.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import Count, PositiveInt, Size
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import as_pair

NAME = "dvan"


class Steps(NamedTuple):
    """logits (B, T, K) and hidden (B, T, D) of each step, attention (B, T, H, W)."""

    logits: Tensor
    hidden: Tensor
    attention: Tensor


class DiversifiedAttention(nn.Module):
    """x (B, T, C, H, W), or one map (B, C, H, W) for all T -> log of the mean p_t, (B, K).

    Args:
        channels: C.
        feat_size: (H, W), or one number for both.
        num_classes: K; 0 gives the last hidden state (B, D).
        hidden_size: D.
        num_steps: T where x is one map.
    """

    def __init__(
        self,
        channels: PositiveInt,
        *,
        feat_size: Size = 7,
        num_classes: Count = 1000,
        hidden_size: PositiveInt = 512,
        num_steps: PositiveInt = 5,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.channels, self.hidden_size, self.num_steps = channels, hidden_size, num_steps
        self.feat_size = as_pair(feat_size)
        self.init_h = nn.Linear(channels, hidden_size, **dd)
        self.init_c = nn.Linear(channels, hidden_size, **dd)
        self.where = nn.Linear(hidden_size, math.prod(self.feat_size), **dd)
        self.lstm = nn.LSTMCell(channels, hidden_size, **dd)
        self.reset_classifier(num_classes, **dd)

    def reset_classifier(self, num_classes: int, **dd: Any) -> None:
        """A new classifier; 0 removes it."""
        self.num_classes = num_classes
        self.classifier: nn.Module = nn.Identity()
        if num_classes:
            self.classifier = nn.Linear(self.hidden_size, num_classes, **dd)
        self.classifier.train(self.training)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.look(x)[0])

    def look(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (B, T, D) and attention (B, T, H, W)."""
        if x.ndim == 4:
            x = x.unsqueeze(1).expand(-1, self.num_steps, -1, -1, -1)
        check_shape(NAME, "x", x, ("B", "T", self.channels, *self.feat_size))
        canvases = x.flatten(3)
        mean = canvases.mean((1, 3))
        state = (torch.tanh(self.init_h(mean)), torch.tanh(self.init_c(mean)))
        hidden, attention = [], []
        for canvas in canvases.unbind(1):
            weights = self.where(state[0]).softmax(1)
            attended = (canvas @ weights.unsqueeze(2)).squeeze(2)
            state = self.lstm(attended, state)
            hidden.append(state[0])
            attention.append(weights.unflatten(1, self.feat_size))
        return torch.stack(hidden, 1), torch.stack(attention, 1)

    def classify(self, hidden: Tensor) -> Tensor:
        """Hidden states (B, T, D) -> log of the mean probability (B, K)."""
        if not self.num_classes:
            return hidden[:, -1]
        log_probs = F.log_softmax(self.classifier(hidden), -1)
        return torch.logsumexp(log_probs, 1) - math.log(hidden.shape[1])

    def attend(self, x: Tensor) -> Steps:
        """What each step says, and where it looked."""
        hidden, attention = self.look(x)
        return Steps(self.classifier(hidden), hidden, attention)


def diversity_loss(attention: Tensor) -> Tensor:
    """L_div of attention (B, T, H, W), a mean over B, from 0 to 1; 0 of a single step."""
    flat = attention.flatten(2)
    if flat.shape[1] == 1:
        return flat.new_zeros(())
    return (flat[:, 1:] * flat[:, :-1]).sum(2).mean()
