"""An LSTM over sequences that also works where its kernel cannot be used."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from timm.layers import register_notrace_function
from torch import Tensor, nn
from torch._C._functorch import maybe_current_level

from zoo.sdk.precision import full_range, without_autocast


def where_it_runs(x: Tensor) -> AbstractContextManager[object]:
    """A context without the autocast that its kernel cannot follow: not every CPU knows halves."""
    return without_autocast(x) if x.device.type == "cpu" else full_range(x)


@register_notrace_function
def scan(lstm: nn.LSTM, x: Tensor) -> Tensor:
    """`lstm(x)[0]` for one layer with `batch_first`: (B, N, C) -> (B, N, hidden of all directions).

    The kernel does not support the transforms of `torch.func`.
    """
    with where_it_runs(x):
        x = x.to(lstm.get_parameter("weight_ih_l0").dtype)
        if maybe_current_level() is None:
            return lstm(x)[0]
        ways = [_steps(lstm, x, ""), _steps(lstm, x.flip(1), "_reverse").flip(1)]
        return torch.cat(ways[: 1 + lstm.bidirectional], 2)


def _steps(lstm: nn.LSTM, x: Tensor, way: str) -> Tensor:
    names = [f"{name}_l0{way}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    w_x, w_h, b_x, b_h = (getattr(lstm, name) for name in names)
    h = c = x.new_zeros(x.shape[0], lstm.hidden_size)
    states: list[Tensor] = []
    for gates in (x @ w_x.t() + b_x + b_h).unbind(1):
        i, f, g, o = (gates + h @ w_h.t()).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        states.append(h)
    return torch.stack(states, 1)
