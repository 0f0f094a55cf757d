"""One prediction of several readings of a sequence: rollouts, and the two directions."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def log_mean(log_probs: Tensor) -> Tensor:
    """log of the mean probability of S rollouts: (S, B, L, K) -> (B, L, K)."""
    return torch.logsumexp(log_probs, 0) - math.log(log_probs.shape[0])


def combine(forward: Tensor, backward: Tensor, *, end: bool) -> Tensor:
    """A forward and a backward reading, (B, L, K) each, averaged in the probabilities.

    As in the DRAM paper, the first k targets of the backward reading are flipped, k being the
    shorter of the two lengths. Of what follows the paper says nothing: it is averaged as it stands,
    since both readings place the end symbol after as many targets. Without an end symbol k is L.
    """
    count = forward.shape[-2]
    place = torch.arange(count, device=forward.device)
    if end:
        over = torch.stack((forward, backward)).argmax(-1) == forward.shape[-1] - 1
        length = torch.where(over, place, count).amin((0, -1))[..., None]
    else:
        length = torch.full_like(place, count)
    flipped = torch.where(place < length, length - 1 - place, place)
    index = flipped.expand(forward.shape[:-1])[..., None].expand_as(backward)
    return log_mean(torch.stack((forward, backward.gather(-2, index))))
