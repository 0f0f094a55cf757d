"""The regions of region attention (see `region.py`): who belongs with whom, and who represents it.

    A_st = (1 - JS(p_s, p_t)) (1 - max over the line from s to t of the boundary probability)

p_s, p_t: the probability of s's own class at s and at t, as Bernoulli distributions kept within
[0.001, 0.99]; JS: their Jensen-Shannon divergence, in nats; not symmetric in s and t. The line is
met at whole steps strictly between its ends, interpolated across. As in the authors' CUDA kernel,
a line within the last row or column meets nothing.
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
    lines = Lines(height, width, flat)
    with torch.no_grad():
        largest = flat.new_zeros(len(flat), len(lines.count))
        place = torch.zeros_like(largest, dtype=torch.int16)
        for step in range(1, max(height, width) - 1):
            active = int((lines.count > step).sum())
            found, before = lines.read(flat, step, active), largest[:, :active]
            place[:, :active].masked_fill_(found > before, step)
            largest[:, :active] = torch.maximum(found, before)
    if probability.requires_grad:
        largest = lines.read_at(flat, place)
    table = flat.new_zeros(len(flat), height * width, height * width)
    table[:, lines.start, lines.end] = largest
    return table + table.transpose(1, 2)


class Lines:
    """The lines between any two positions (each pair once), the longest first.

    Left out are those that meet nothing: between neighbours, and within the last row or column.
    """

    def __init__(self, height: int, width: int, like: Tensor) -> None:
        start, end = torch.triu_indices(height * width, height * width, 1, device=like.device)
        down, right = end // width - start // width, end % width - start % width
        last = (down == 0) & (start // width == height - 1)
        last |= (right == 0) & (start % width == width - 1)
        count = torch.maximum(down.abs(), right.abs()).masked_fill_(last, 0)
        order = count.argsort(descending=True)[: int((count > 1).sum())]
        start, end, down, right = (t[order] for t in (start, end, down, right))
        steep = down.abs() > right.abs()
        self.start, self.end, self.count = start, end, count[order]
        minor = torch.where(steep, start % width, start // width)
        kind = torch.promote_types(like.dtype, torch.float32)  # half precision rounds off the map
        self.minor, self.rate = (
            minor.to(kind),
            torch.where(steep, right, down) / self.count.to(kind),
        )
        self.base = torch.where(steep, start // width * width, start % width).int()
        self.major = torch.where(steep, down.sign() * width, right.sign()).int()
        self.stride = torch.where(steep, 1, width).int()

    def read(self, flat: Tensor, step: int, active: int) -> Tensor:
        """`flat` (B, HW) at this step of the first `active` lines, (B, active)."""
        minor = torch.add(self.minor[:active], self.rate[:active], alpha=step)
        low = minor.int()
        index = torch.add(self.base[:active], self.major[:active], alpha=step)
        index.addcmul_(low, self.stride[:active])
        below, above = (
            flat.index_select(1, index),
            flat.index_select(1, index + self.stride[:active]),
        )
        return torch.lerp(below, above, (minor - low).to(flat.dtype))

    def read_at(self, flat: Tensor, step: Tensor) -> Tensor:
        """`flat` at a step of its own for each image and line, (B, lines); 0 at step 0."""
        minor = self.minor + self.rate * step
        low = minor.int()
        index = (self.base + self.major * step + low * self.stride).long()
        below, above = flat.gather(1, index), flat.gather(1, index + self.stride)
        value = torch.lerp(below, above, (minor - low).to(flat.dtype))
        return value.masked_fill(step == 0, 0.0)


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
