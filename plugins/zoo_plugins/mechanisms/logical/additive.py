"""Additive attention (Bahdanau et al., ICLR 2015, arXiv 1409.0473), as image captioning has it.

    score(q, m_n) = v . act(W_m m_n + b + W_q q),    weights = softmax_n(score)

The code of some authors has further biases: that of W_q is one with b, and that of v moves no
weight, so neither is a parameter here.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS = {"tanh": torch.tanh, "relu": F.relu}


class AdditiveAttention(nn.Module):
    """query (B, ..., D), memory (B, N, C) -> weights (B, ..., N).

    Args:
        dim: C of the memory.
        query_dim: D.
        attention_dim: A, the width of the sum.
        num_layers: of the map from the memory to A; those after the first are followed by tanh.
        activation: of the sum.
        bias: in the layers from the memory.
    """

    def __init__(
        self,
        dim: int,
        query_dim: int,
        attention_dim: int,
        *,
        num_layers: int = 1,
        activation: Literal["tanh", "relu"] = "tanh",
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        widths = (dim, *[attention_dim] * (num_layers - 1))
        self.memory = nn.ModuleList(nn.Linear(w, attention_dim, bias=bias, **dd) for w in widths)
        self.query = nn.Linear(query_dim, attention_dim, bias=False, **dd)
        self.score = nn.Linear(attention_dim, 1, bias=False, **dd)
        self.activation = activation

    def project(self, memory: Tensor) -> Tensor:
        """The part that no query changes, (B, N, A)."""
        first, *others = self.memory
        projected = first(memory)
        for layer in others:
            projected = torch.tanh(layer(projected))
        return projected

    def scores(self, query: Tensor, projected: Tensor) -> Tensor:
        """(B, ..., D), (B, N, A) -> (B, ..., N), before the softmax."""
        asked = self.query(query).unsqueeze(-2)
        between = [1] * (asked.ndim - projected.ndim)
        memory = projected.reshape(len(projected), *between, *projected.shape[1:])
        return self.score(ACTIVATIONS[self.activation](memory + asked)).squeeze(-1)


def over_queries(mask: Tensor | None, query: Tensor) -> Tensor | None:
    """A mask (B, N) of the memory, to be broadcast over the queries (B, ..., D)."""
    if mask is None:
        return None
    return mask.reshape(len(mask), *[1] * (query.ndim - 2), mask.shape[-1])
