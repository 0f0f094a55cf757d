"""The regions of region attention (see `region.py`): who belongs with whom, and who represents it.

    A_st = (1 - JS(p_s, p_t)) (1 - max over the line from s to t of the boundary probability)

p_s, p_t: the probability of s's own class at s and at t, as Bernoulli distributions kept within
[0.001, 0.99]; JS: their Jensen-Shannon divergence, in nats; not symmetric in s and t. The line is
met at whole steps strictly between its ends, interpolated across. As in the authors' CUDA kernel,
interpolation gives 0 where the line runs within the last row or column.
"""

from __future__ import annotations

import torch
from torch import Tensor

JUMPS = 10


def region_attention(semantic: Tensor, boundary: Tensor) -> Tensor:
    """Class logits (B, K, H, W) and boundary logits (B, 2, H, W) -> A, (B, HW, HW)."""
    line = boundary_between(boundary.softmax(1)[:, 1])
    return (1 - divergence(semantic.softmax(1).flatten(2))) * (1 - line)


def divergence(probability: Tensor) -> Tensor:
    """JS of (B, K, N) -> (B, N, N), symmetric only where both have the same class."""
    best = probability.argmax(1, keepdim=True)
    own = probability.gather(1, best).clamp(0.001, 0.99).transpose(1, 2)
    index = best.transpose(1, 2).expand(-1, -1, probability.shape[2])
    other = probability.gather(1, index).clamp(0.001, 0.99)
    middle = (own + other) / 2
    terms = (_kl(p, middle) + _kl(1 - p, 1 - middle) for p in (own, other))
    return 0.5 * sum(terms, torch.zeros_like(middle))


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return p * (p / q).log()


def boundary_between(probability: Tensor) -> Tensor:
    """(B, H, W) -> the largest on the line between each two positions, (B, HW, HW); 0 if none.

    The place of the maximum is found first, without gradients, and read once.
    """
    height, width = probability.shape[1:]
    flat = probability.flatten(1)
    with torch.no_grad():
        largest = flat.new_zeros(len(flat), height * width, height * width)
        place = torch.zeros_like(largest, dtype=torch.int16)
        for step in range(1, max(height, width) - 1):
            found = _read(flat, _lines_at(step, height, width, flat))
            place.masked_fill_(found > largest, step)
            largest = torch.maximum(largest, found)
    if not probability.requires_grad:
        return largest
    found = _read(flat, _lines_at(place, height, width, flat))
    return found.masked_fill(place == 0, 0.0)


Line = tuple[Tensor, Tensor, Tensor, Tensor]


def _lines_at(step: Tensor | int, height: int, width: int, like: Tensor) -> Line:
    """Indices below and above, and weights, of the points `step` steps from s towards t."""
    index = torch.arange(height * width, device=like.device)
    row, column = index // width, index % width
    down, right = row - row[:, None], column - column[:, None]
    steep = down.abs() > right.abs()
    count = torch.maximum(down.abs(), right.abs())
    within = step < count
    major_size, minor_size = torch.where(steep, height, width), torch.where(steep, width, height)
    start = torch.where(steep, row[:, None], column[:, None])
    major = start + step * torch.where(steep, down, right).sign()
    rate = torch.where(steep, right, down).to(like.dtype) / count.clamp(min=1)
    minor = torch.where(steep, column[:, None], row[:, None]) + step * rate
    minor = minor.clamp(min=0)
    last = minor_size - 1
    low = minor.long().clamp(max=last)
    high = torch.minimum(low + 1, last)
    above, below = high - minor, minor - low
    stride_major, stride_minor = torch.where(steep, width, 1), torch.where(steep, 1, width)
    base = major.clamp(min=0).minimum(major_size - 1) * stride_major
    zero = torch.zeros((), dtype=like.dtype, device=like.device)
    weights = torch.where(within, above, zero), torch.where(within, below, zero)
    return base + low * stride_minor, base + high * stride_minor, *weights


def _read(flat: Tensor, line: Line) -> Tensor:
    low, high, at_low, at_high = line
    shape = (len(flat), *low.shape[-2:])
    below = flat.gather(1, low.expand(shape).flatten(1)).view(shape)
    above = flat.gather(1, high.expand(shape).flatten(1)).view(shape)
    return at_low * below + at_high * above


@torch.no_grad()
def region_map(attention: Tensor, threshold: float) -> Tensor:
    """The region of each position, (B, N), numbered from 0 in order of their first positions.

    Each position follows the first one whose mean attention with it, both ways, is above the
    threshold, or itself; and that one's choice, and so on.
    """
    positions = attention.shape[1]
    decision = (attention + attention.transpose(1, 2)) / 2
    index = torch.arange(positions, device=attention.device)
    follows = (decision > threshold) & (index <= index[:, None]) | (index == index[:, None])
    region = follows.to(torch.uint8).argmax(2)
    for _ in range(JUMPS):
        region = region.gather(1, region)
    occupied = torch.zeros_like(region).scatter_(1, region, 1)
    return (occupied.cumsum(1) - 1).gather(1, region)


def representatives(attention: Tensor, region: Tensor, topk: int) -> tuple[Tensor, Tensor]:
    """Score of each position, and whether it is of the `topk` of its region: (B, N) each.

    The score is the position's mean attention to its region; a region of fewer positions is
    represented by all of them.
    """
    same = region[:, :, None] == region[:, None]
    score = (attention * same).sum(2) / same.sum(2)
    with torch.no_grad():
        index = torch.arange(region.shape[1], device=region.device)
        before = (score[:, None] == score[:, :, None]) & (index < index[:, None])
        better = same & ((score[:, None] > score[:, :, None]) | before)
        return score, better.sum(2) < topk
