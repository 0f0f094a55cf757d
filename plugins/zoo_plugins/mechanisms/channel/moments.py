"""Means and deviations along some dimensions, of float16 in float32.

Variances are unbiased, over n - 1. One value alone has the variance zero, where torch gives NaN.
"""

from __future__ import annotations

import torch
from timm.layers import register_notrace_function
from torch import Tensor

from zoo.sdk.precision import widened


@register_notrace_function
def mean_and_variance(x: Tensor, dims: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Both keep the two dimensions, of size 1."""
    correction = freedom(x, dims)
    var, mean = torch.var_mean(widened(x), dims, correction=correction, keepdim=True)
    return mean, var


@register_notrace_function
def mean_and_deviation(x: Tensor, dims: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Both keep the two dimensions, of size 1; no gradient flows where the deviation is zero."""
    correction = freedom(x, dims)
    std, mean = torch.std_mean(widened(x), dims, correction=correction, keepdim=True)
    return mean, std


def freedom(x: Tensor, dims: tuple[int, int]) -> int:
    """What to take off the number of values: 1, and 0 where there is a single one."""
    return 1 if x.shape[dims[0]] * x.shape[dims[1]] > 1 else 0
