"""Spatial transformer (Jaderberg et al., NeurIPS 2015, arXiv 1506.02025, section 3).

    theta = localisation(x)                                    (B, 2, 3)
    (x_s, y_s) = theta (x_t, y_t, 1)                           eq. 1, coordinates in [-1, 1]
    y = x sampled at (x_s, y_s), bilinearly, zero outside      eq. 5

x, y: (B, C, H, W). The localisation network is that of PyTorch's tutorial, whose parameter names
are kept: [conv, 2x2 max pool, ReLU] for each kernel, then two linear layers. It starts at the
identity. `align_corners`: whether -1 and 1 are the centres of the outermost pixels (True; PyTorch
before 1.3, when the tutorial was written) or their outer edges (False; PyTorch since).

The tutorial's convolutions are not padded and need maps of 18 x 18 or more. On smaller ones, as in
the depth of a backbone, they are padded to keep the size, and the pools round up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveInt, Size, refuse
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import as_pair, require_size
from zoo.sdk.sampling import affine_grid, sample

NAME = "spatial_transformer"
TRANSFORMS = {  # the identity as a bias, and where each parameter goes in (2, 3)
    "affine": ((1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0, 1, 2, 3, 4, 5)),
    "attention": ((1.0, 0.0, 0.0), (0, 3, 1, 3, 0, 2)),  # scale, t_x, t_y (eq. 2); 3: zero
}


class SpatialTransformer(nn.Module):
    """(B, C, H, W) -> the same shape, resampled by one affine transform a sample.

    Args:
        in_channels: C.
        feat_size: (H, W) of the map, or one number for both.
        align_corners: of grid and sampling, False.
        hidden_channels, kernel_sizes: one number for each convolution, (8, 10) and (7, 5).
        fc_channels: of the hidden linear layer, 32.
        transform: `affine`, or `attention`: isotropic scale and translation only.
        padding: of the convolutions, `valid` (none) or `same`; by default `valid` where it fits.
    """

    def __init__(
        self,
        in_channels: PositiveInt,
        *,
        feat_size: Size,
        align_corners: bool = False,
        hidden_channels: Sequence[PositiveInt] = (8, 10),
        kernel_sizes: Sequence[PositiveInt] = (7, 5),
        fc_channels: PositiveInt = 32,
        transform: Literal["affine", "attention"] = "affine",
        padding: Literal["valid", "same"] | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.align_corners = in_channels, align_corners
        self.size = as_pair(feat_size)
        if align_corners and min(self.size) == 1:
            refuse(NAME, f"a map of {self.size} has no corners to align", "align_corners=False")
        self.start, self.places = TRANSFORMS[transform]
        widths, kernels = list(hidden_channels), list(kernel_sizes)
        if len(widths) != len(kernels) or not widths:
            refuse(NAME, f"{len(widths)} hidden_channels, but {len(kernels)} kernel_sizes")
        same = _is_same(padding, self.size, kernels)
        dd: Any = {"device": device, "dtype": dtype}
        layers: list[nn.Module] = []
        for inputs, outputs, kernel in zip((in_channels, *widths), widths, kernels, strict=False):
            conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2 if same else 0, **dd)
            layers += [conv, nn.MaxPool2d(2, ceil_mode=same), nn.ReLU(inplace=True)]
        self.localization = nn.Sequential(*layers)
        height, width = _map_size(self.size, kernels, same)
        first = nn.Linear(widths[-1] * height * width, fc_channels, **dd)
        last = nn.Linear(fc_channels, len(self.start), **dd)
        self.fc_loc = nn.Sequential(first, nn.ReLU(inplace=True), last)
        self.init_identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.transform(x, self.theta(x))

    def theta(self, x: Tensor) -> Tensor:
        """The transform of each sample, (B, 2, 3)."""
        if not torch.jit.is_scripting():
            check_shape(NAME, "x", x, ("B", self.in_channels, *self.size))
            x = require_size(NAME, x, self.size)
        parameters = self.fc_loc(self.localization(x).flatten(1))
        return F.pad(parameters, (0, 1))[:, list(self.places)].unflatten(1, (2, 3))

    def transform(self, x: Tensor, theta: Tensor) -> Tensor:
        """x (B, C, H, W) resampled by theta (B, 2, 3)."""
        grid = affine_grid(theta, list(x.shape), self.align_corners)
        return sample(x, grid, self.align_corners)

    @torch.no_grad()
    def init_identity(self) -> float:
        """Start as the identity transform, which it does anyway; returns 1."""
        last = self.fc_loc[-1]
        nn.init.zeros_(last.get_parameter("weight"))
        for bias, value in zip(last.get_parameter("bias"), self.start, strict=True):
            bias.fill_(value)
        return 1.0


def _is_same(padding: str | None, size: tuple[int, int], kernels: list[int]) -> bool:
    fits = min(_map_size(size, kernels, False)) > 0
    same = not fits if padding is None else padding == "same"
    if not same and not fits:
        refuse(NAME, f"feat_size={size} is too small for kernel_sizes={kernels}", "padding='same'")
    if same and any(kernel % 2 == 0 for kernel in kernels):
        refuse(NAME, f"kernel_sizes={kernels} are not all odd, and maps of {size} need padding")
    return same


def _map_size(size: tuple[int, int], kernels: list[int], same: bool) -> tuple[int, int]:
    """What is left after every convolution and pool."""
    height, width = size
    for kernel in kernels:
        lost = -1 if same else kernel - 1  # a pool that rounds up
        height, width = (max(side - lost, 0) // 2 for side in (height, width))
    return height, width


def reference_call(module: SpatialTransformer, x: Tensor) -> tuple[Tensor, Tensor]:
    """What a reference case records: the output and the transform."""
    theta = module.theta(x)
    return module.transform(x, theta), theta
