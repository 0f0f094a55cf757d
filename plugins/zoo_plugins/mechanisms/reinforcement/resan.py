"""Reinforced self-attention network (Shen et al., IJCAI 2018, arXiv 1801.10296).

Hard: two samplers choose the tokens that are depended on (dep) and those that attend (head):

    p = sigmoid(w2 act(w1 [x; m; x * m])),  m = mean of the tokens;   chosen where noise <= p

Soft: a feature-wise attention in each direction, of each chosen head i over the chosen j before it
(forward) or after it (backward):

    r = act(W x);  a_ij = softmax_j(c tanh((W1 r_j + W2 r_i + f) / c)),  c = logit_scale
    s_i = sum_j a_ij * r_j, or 0 without any j;  the mean of all other r_j where i is no head
    g = sigmoid(W_i r + W_a s + b);  u = g * r + (1 - g) * s

and the sentence: sum_i softmax_i(V2 act(V1 u_i)) * u_i, feature by feature, of u = [forward;
backward]. x: (B, N, C); u and the sentence have 2 hidden_size features. A map is flattened by rows.

The samplers learn by REINFORCE alone: `attend` gives log p of the choices, and the paper's reward
is the task's less a multiple of the share of tokens chosen (`reinforcement.policy.policy_loss`).
The authors draw at test time too; here eval takes the likelier choice unless noise is given. Their
code packs the chosen tokens; the masked form here is the same sum.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, refuse
from zoo.sdk.attend import check_mask, mask_of_lengths, masked_softmax
from zoo.sdk.inputs import check_shape
from zoo.sdk.take_part import take_part
from zoo_plugins.mechanisms.reinforcement.policy import choose

NAME = "resan"
ACTIVATIONS: dict[str, Any] = {"relu": F.relu, "elu": F.elu, "selu": F.selu, "tanh": torch.tanh}
LEAST = 1e-10  # the least probability in log p


class Selected(NamedTuple):
    """`prob` of each token and `select`, 1 or 0, (B, N) each, and `log_prob` of the choices."""

    prob: Tensor
    select: Tensor
    log_prob: Tensor


class Resan(NamedTuple):
    """`sentence` (B, 2h), `forward` and `backward` (B, N, h), and both samplers' choices."""

    sentence: Tensor
    forward: Tensor
    backward: Tensor
    dep: Selected
    head: Selected

    @property
    def log_prob(self) -> Tensor:
        """(B, 2N), of both."""
        return torch.cat([self.dep.log_prob, self.head.log_prob], 1)


class ReinforcedSelfAttention(nn.Module):
    """(B, N, C) -> the sentence (B, 1, 2 hidden_size).

    Args:
        dim: C.
        hidden_size: h, by default C.
        activation: act in the equations.
        num_tokens: the most tokens; None for any number.
        logit_scale: c.
        keep_unselected: whether tokens that are no heads get the mean, and take part in the
            sentence; else u is 0 there, and they take none.
    """

    def __init__(
        self,
        dim: PositiveInt,
        *,
        hidden_size: PositiveInt | None = None,
        activation: Literal["relu", "elu", "selu", "tanh"] = "relu",
        num_tokens: PositiveInt | None = None,
        logit_scale: PositiveFloat = 5.0,
        keep_unselected: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.dim, self.activation = dim, activation
        self.num_tokens, self.keep = num_tokens, keep_unselected
        hidden = dim if hidden_size is None else hidden_size
        dd: Any = {"device": device, "dtype": dtype}
        self.dep = Sampler(dim, hidden, activation, dd)
        self.head = Sampler(dim, hidden, activation, dd)
        self.fw = Directional(dim, hidden, activation, logit_scale, keep_unselected, dd)
        self.bw = Directional(dim, hidden, activation, logit_scale, keep_unselected, dd)
        self.s2t1 = nn.Linear(2 * hidden, 2 * hidden, **dd)
        self.s2t2 = nn.Linear(2 * hidden, 2 * hidden, **dd)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The sentence; `mask` (B, N) is True where a token is present."""
        sentence = self.attend(x, mask, generator=generator).sentence.unsqueeze(1)
        if self.training:  # the choices learn from the reward
            sentence = take_part(sentence, [*self.dep.parameters(), *self.head.parameters()])
        return sentence

    def attend(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        *,
        noise_dep: Tensor | None = None,
        noise_head: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Resan:
        """All that is computed; the noise is uniform, (B, N), else drawn by `generator`."""
        check_shape(NAME, "x", x, ("B", "N", self.dim))
        check_mask(NAME, mask, x)
        if self.num_tokens is not None and x.shape[1] > self.num_tokens:
            refuse(NAME, f"{x.shape[1]} tokens, but num_tokens={self.num_tokens}")
        present = x.new_ones(x.shape[:2], dtype=torch.bool) if mask is None else mask
        features = _with_mean(x, present)
        dep = self.dep(features, present, noise_dep, generator)
        head = self.head(features, present, noise_head, generator)
        order = torch.arange(x.shape[1], device=x.device)
        pairs = (head.select.bool()[:, :, None]) & dep.select.bool()[:, None]
        forward = self.fw(x, present, head.select, pairs & (order[:, None] > order))
        backward = self.bw(x, present, head.select, pairs & (order[:, None] < order))
        u = torch.cat([forward, backward], 2)
        logits = self.s2t2(ACTIVATIONS[self.activation](self.s2t1(u)))
        counted = present if self.keep else head.select.bool()
        sentence = (masked_softmax(logits, counted[..., None], 1) * u).sum(1)
        return Resan(sentence, forward, backward, dep, head)


class Sampler(nn.Module):
    """Reinforced sequence sampling: which tokens to keep."""

    def __init__(self, dim: int, hidden: int, activation: str, dd: Any) -> None:
        super().__init__()
        self.activation = activation
        self.h1 = nn.Linear(3 * dim, hidden, **dd)
        self.h2 = nn.Linear(hidden, 1, **dd)

    def forward(
        self,
        features: Tensor,
        present: Tensor,
        noise: Tensor | None,
        generator: torch.Generator | None,
    ) -> Selected:
        if noise is not None:
            check_shape(NAME, "noise", noise, tuple(present.shape))
        logits = self.h2(ACTIVATIONS[self.activation](self.h1(features))).squeeze(2)
        prob = torch.sigmoid(logits)
        chosen = choose(prob, noise, generator, self.training, inclusive=True)
        chosen = chosen.masked_fill(~present, 0)
        likely = torch.where(chosen > 0, prob, 1 - prob).clamp(LEAST, 1)
        return Selected(prob, chosen, likely.log().masked_fill(~present, 0))


class Directional(nn.Module):
    """Feature-wise attention in one direction, and its fusion with the tokens: (B, N, h)."""

    def __init__(
        self, dim: int, hidden: int, activation: str, scale: float, keep: bool, dd: Any
    ) -> None:
        super().__init__()
        self.activation, self.scale, self.keep = activation, scale, keep
        self.map = nn.Linear(dim, hidden, **dd)
        self.dependent = nn.Linear(hidden, hidden, bias=False, **dd)
        self.head = nn.Linear(hidden, hidden, bias=False, **dd)
        self.f_bias = nn.Parameter(torch.zeros(hidden, **dd))
        self.fusion_i = nn.Linear(hidden, hidden, **dd)
        self.fusion_a = nn.Linear(hidden, hidden, **dd)
        self.o_bias = nn.Parameter(torch.zeros(hidden, **dd))

    def forward(self, x: Tensor, present: Tensor, heads: Tensor, pairs: Tensor) -> Tensor:
        """`heads` (B, N) are 1 where a token attends; `pairs` (B, N, N) say to which."""
        r = ACTIVATIONS[self.activation](self.map(x))
        logits = self.dependent(r)[:, None] + self.head(r)[:, :, None] + self.f_bias
        logits = self.scale * torch.tanh(logits / self.scale)
        weights = masked_softmax(logits, pairs[..., None], 2)
        context = torch.einsum("bijh,bjh->bih", weights, r)
        if self.keep:
            others = (present & (heads == 0))[..., None]
            context = context + _mean_of_others(r, present).masked_fill(~others, 0)
        gate = torch.sigmoid(self.fusion_i(r) + self.fusion_a(context) + self.o_bias)
        u = gate * r + (1 - gate) * context
        return u if self.keep else u * heads[..., None]


def _with_mean(x: Tensor, present: Tensor) -> Tensor:
    """[x; m; x * m], with m the mean of the tokens that are present."""
    counted = present[..., None]
    total = x.masked_fill(~counted, 0).sum(1, keepdim=True)
    mean = (total / counted.sum(1, keepdim=True).clamp(min=1)).expand_as(x)
    return torch.cat([x, mean, x * mean], 2)


def _mean_of_others(r: Tensor, present: Tensor) -> Tensor:
    """For each token the mean of all other tokens that are present; 0 if there are none."""
    kept = r.masked_fill(~present[..., None], 0)
    count = present.sum(1, keepdim=True) - present.int()
    return (kept.sum(1, keepdim=True) - kept) / count.clamp(min=1)[..., None]


def reference_call(
    module: ReinforcedSelfAttention,
    x: Tensor,
    lengths: Tensor,
    noise_dep: Tensor | None = None,
    noise_head: Tensor | None = None,
) -> dict[str, Tensor]:
    """What a reference case records."""
    mask = mask_of_lengths(lengths, x.shape[1])
    found = module.attend(x, mask, noise_dep=noise_dep, noise_head=noise_head)
    chosen = {"dep": found.dep, "head": found.head}
    return {
        **{f"prob_{name}": part.prob for name, part in chosen.items()},
        **{f"select_{name}": part.select for name, part in chosen.items()},
        "log_prob": found.log_prob,
        "forward": found.forward,
        "backward": found.backward,
        "sentence": found.sentence,
    }
