"""Sequential top-down attention (S3TA; Zoran et al., CVPR 2020, arXiv 1912.02184).

Of T steps, each asks Q questions of one and the same map, with the state of an LSTM:

    keys, values = x[:, :c_k] with basis, x[:, c_k:] with basis      at all H W positions
    q_1 .. q_Q = MLP(h_{t-1})                                        c_k + c_s numbers each
    attention_j = softmax_hw(q_j . keys)                             no division by sqrt(c_k + c_s)
    answer_j = sum_hw attention_j values                             c_v + c_s numbers
    h_t, c_t = LSTM(answer_1 .. answer_Q, (h_{t-1}, c_{t-1}))

The basis is fixed: S[h, w, (u, v)] = cos(pi u h / H) cos(pi v w / W) for h, w, u, v from 1.

The authors' code is unreleased. The core is that of the same authors' agent (Mott et al., NeurIPS
2019, arXiv 1906.02500), followed here in an independent port, without the agent's rewards and
actions and without the ConvLSTM before it. The class decoder on h_T is left to the user. In the
paper's figure 2 the answers enter the LSTM as they are; in the port, through a perceptron and
together with the queries (`core_input`).
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from zoo.sdk import AtLeast, PositiveInt, Size, refuse
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import as_pair

NAME = "s3ta"
State = tuple[Tensor, Tensor]


class Steps(NamedTuple):
    """All that T steps compute, time first.

    hidden (T, B, D), attention (T, B, Q, H, W), answers (T, B, Q, c_v + c_s),
    queries (T, B, Q, c_k + c_s), and the last cell (B, D).
    """

    hidden: Tensor
    attention: Tensor
    answers: Tensor
    queries: Tensor
    cell: Tensor


class SequentialTopDownAttention(nn.Module):
    """x (B, c_k + c_v, H, W), state -> hidden states (B, T, D), state.

    Args:
        channels: c_k + c_v of the map.
        key_dim: c_k, by default 8, and half the channels where there are fewer than 16.
        spatial_basis_dim: c_s, the square of a number of frequencies.
        num_queries: Q.
        hidden_size: D.
        feat_size: (H, W), or one number for both, if only maps of one size shall be taken.
        num_steps: T; 2 to 16 in the paper.
        core_input: what enters the LSTM, as above.

    The state is (hidden, cell), each (B, D); None is zero, the start.

    Raises:
        OptionError: sizes that contradict each other. UsageError: a map of other channels or size.
    """

    def __init__(
        self,
        channels: Annotated[int, AtLeast(2)] = 128,
        *,
        key_dim: PositiveInt | None = None,
        spatial_basis_dim: PositiveInt = 64,
        num_queries: PositiveInt = 4,
        hidden_size: Annotated[int, AtLeast(2)] = 256,
        feat_size: Size | None = None,
        num_steps: PositiveInt = 4,
        core_input: Literal["answers", "answers_and_queries_mlp"] = "answers",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.channels, self.num_queries, self.num_steps = channels, num_queries, num_steps
        self.hidden_size, self.core_input = hidden_size, core_input
        self.key_dim = min(8, channels // 2) if key_dim is None else key_dim
        self.value_dim = channels - self.key_dim
        if self.value_dim < 1:
            refuse(NAME, f"key_dim={key_dim} leaves no value of channels={channels}")
        self.frequencies, basis = math.isqrt(spatial_basis_dim), spatial_basis_dim
        if self.frequencies**2 != basis:
            refuse(NAME, f"spatial_basis_dim={basis} is not a square: it is that of frequencies")
        self.size = None if feat_size is None else as_pair(feat_size)
        dd: Any = {"device": device, "dtype": dtype}
        query, answer = self.key_dim + basis, self.value_dim + basis
        self.query = _perceptron(hidden_size, hidden_size // 2, *[query * num_queries] * 2, **dd)
        self.processor: nn.Module | None = None
        core = answer * num_queries
        if core_input != "answers":
            core += query * num_queries
            self.processor = _perceptron(core, 2 * hidden_size, hidden_size, **dd)
            core = hidden_size
        self.core = nn.LSTMCell(core, hidden_size, **dd)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        steps = self.look(x, state)
        return steps.hidden.transpose(0, 1), (steps.hidden[-1], steps.cell)

    def look(self, x: Tensor, state: State | None = None) -> Steps:
        """All T steps, with what they attended to."""
        check_shape(NAME, "x", x, ("B", self.channels, *(self.size or ("H", "W"))))
        keys, values = self.keys_and_values(x)
        hidden, cell = state or (x.new_zeros(x.shape[0], self.hidden_size),) * 2
        seen: list[tuple[Tensor, ...]] = []
        for _ in range(self.num_steps):
            queries = self.query(hidden).unflatten(1, (self.num_queries, -1))
            attention = (queries @ keys).softmax(-1)
            answers = attention @ values
            hidden, cell = self.core(self._core_input(answers, queries), (hidden, cell))
            seen.append((hidden, attention.unflatten(2, x.shape[2:]), answers, queries))
        states, attention, answers, queries = map(torch.stack, zip(*seen, strict=True))
        return Steps(states, attention, answers, queries, cell)

    def keys_and_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, c_k + c_s, H W) and (B, H W, c_v + c_s), for all steps."""
        basis = self.basis(x).expand(x.shape[0], -1, -1)
        keys, values = x.flatten(2).split((self.key_dim, self.value_dim), 1)
        return torch.cat((keys, basis), 1), torch.cat((values, basis), 1).transpose(1, 2)

    def basis(self, x: Tensor) -> Tensor:
        """The spatial basis of the map's size, (c_s, H W); channel u * frequencies + v."""
        count = _count(self.frequencies, x)
        rows, columns = (
            torch.cos(math.pi * count[:, None] * (_count(side, x) / side)) for side in x.shape[2:]
        )
        return torch.einsum("uh,vw->uvhw", rows, columns).reshape(len(count) ** 2, -1).to(x.dtype)

    def _core_input(self, answers: Tensor, queries: Tensor) -> Tensor:
        if self.processor is None:
            return answers.flatten(1)
        return self.processor(torch.cat((answers.flatten(1), queries.flatten(1)), 1))


def _count(most: int, x: Tensor) -> Tensor:
    """1 to `most`, in float32 at least, as angles need."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    return torch.arange(1, most + 1, device=x.device, dtype=dtype)


def _perceptron(*widths: int, **dd: Any) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(inputs, outputs, **dd), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def reference_call(
    module: SequentialTopDownAttention, features: Tensor, hidden: Tensor, cell: Tensor
) -> Steps:
    """What a reference case records of all steps."""
    return module.look(features, (hidden, cell))


def example(
    channels: int, batch: int, generator: torch.Generator
) -> tuple[dict[str, Any], tuple[Tensor]]:
    """A map, and a small state."""
    options = {"spatial_basis_dim": 16, "hidden_size": 32}
    return options, (torch.randn(batch, channels, 5, 6, generator=generator),)
