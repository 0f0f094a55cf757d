"""Causal linear attention in chunks: linear in N, without a step for each position."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 64


def causal_sums(q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None = None) -> Tensor:
    """y_t = q_t^T S_t, where S_t = exp(keep_t) S_{t-1} + k_t v_t^T and S_0 = 0.

    Args:
        q, k: (B, heads, N, D). v: (B, heads, N, d).
        keep: log of what is kept of the state in each step, (B, heads, N), at most 0; by default 0.

    Returns:
        (B, heads, N, d).
    """
    length = q.shape[2]
    size = min(CHUNK, length)
    q, k, v = (_chunks(t, size) for t in (q, k, v))  # B, heads, chunks, size, .
    near = (q @ k.transpose(3, 4)).tril()
    if keep is None:
        inside = k.transpose(3, 4) @ v
        before = inside.cumsum(2) - inside
        return (near @ v + q @ before).flatten(2, 3)[:, :, :length]
    keep = _chunks(keep.unsqueeze(3), size).squeeze(4)
    near = near * _decays(keep).exp()
    left = keep.flip(3).cumsum(3).flip(3) - keep  # from a position to the end of its chunk
    inside = (k * left.exp().unsqueeze(4)).transpose(3, 4) @ v
    before = _states(inside, keep.sum(3).exp())
    far = (q * keep.cumsum(3).exp().unsqueeze(4)) @ before
    return (near @ v + far).flatten(2, 3)[:, :, :length]


def _chunks(x: Tensor, size: int) -> Tensor:
    x = F.pad(x, (0, 0, 0, -x.shape[2] % size))
    return x.unflatten(2, (-1, size))


def _decays(keep: Tensor) -> Tensor:
    """Sums of keep over (s, t], (..., size, size) at [t, s]: -inf for s > t.

    Summed segment by segment: differences of one running sum would lose digits.
    """
    size = keep.shape[3]
    lower = torch.ones(size, size, dtype=torch.bool, device=keep.device)
    rows = keep.unsqueeze(4).expand(*keep.shape, size).masked_fill(~lower.tril(-1), 0.0)
    return rows.cumsum(3).masked_fill(~lower.tril(), -torch.inf)


def _states(inside: Tensor, kept: Tensor) -> Tensor:
    """The state before each chunk, from what each adds (B, heads, chunks, D, d) and keeps."""
    state, states = torch.zeros_like(inside[:, :, 0]), []
    for added, share in zip(inside.unbind(2), kept.unbind(2), strict=True):
        states.append(state)
        state = state * share[..., None, None] + added
    return torch.stack(states, 2)
