"""Wrong labels on purpose, to see how training holds out against them."""

from __future__ import annotations

import torch
from torch import Tensor


def mislabel(labels: Tensor, share: float, num_classes: int, seed: int) -> Tensor:
    """Labels (N,), of which about `share` are replaced by another class, each equally likely.

    As in arXiv 1704.06904, section 4.1, a label stays with probability 1 - share.
    """
    generator = torch.Generator().manual_seed(seed)
    wrong = torch.rand(len(labels), generator=generator) < share
    shift = torch.randint(1, num_classes, (len(labels),), generator=generator)
    return torch.where(wrong, (labels + shift) % num_classes, labels)
