"""Reading a map at positions between its pixels, which are never computed in half precision.

Near the border of a map of 56 positions a side, bfloat16 misses by a tenth of one: a map that is
read where it lies would not come back as it was.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from timm.layers import register_notrace_function
from torch import Tensor

from zoo.sdk.precision import at_least_float32, without_autocast


@register_notrace_function
def affine_grid(theta: Tensor, size: list[int], align_corners: bool) -> Tensor:
    """`torch.nn.functional.affine_grid` of theta (B, 2, 3), in float32 at least."""
    if torch.jit.is_scripting():
        return F.affine_grid(at_least_float32(theta), size, align_corners=align_corners)
    else:
        with without_autocast(theta):
            return F.affine_grid(at_least_float32(theta), size, align_corners=align_corners)


@register_notrace_function
def sample(x: Tensor, grid: Tensor, align_corners: bool) -> Tensor:
    """x (B, C, H, W) at the positions of a grid (B, H', W', 2), bilinearly, zero outside.

    It is read in the precision of the grid where that is the finer one, and returned in that of x.
    """
    dtype = torch.promote_types(x.dtype, grid.dtype)
    return F.grid_sample(x.to(dtype), grid.to(dtype), align_corners=align_corners).to(x.dtype)
