"""Dilated k x k neighbourhoods of every position, zero outside the map."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def neighbours(x: Tensor, kernel_size: int, dilation: int) -> Tensor:
    """(B, C, H, W) -> (B, C, k * k, H * W), row-major offsets."""
    padding = dilation * (kernel_size // 2)
    patches = F.unfold(x, kernel_size, dilation, padding)
    return patches.view(x.shape[0], x.shape[1], kernel_size * kernel_size, -1)


def weighted_sum(x: Tensor, weights: Tensor, kernel_size: int, dilation: int) -> Tensor:
    """sum_k weights_k(p) x(p + offset_k); weights: (B, k * k, H, W)."""
    around = neighbours(x, kernel_size, dilation)
    return (around * weights.flatten(2).unsqueeze(1)).sum(2).view(x.shape)
