"""Hard regional attention of HA-CNN (Li, Zhu, Gong, CVPR 2018, arXiv 1802.08122, section 3.1).

    theta = tanh(W mean_hw(x) + b)                          (B, R, 2): a centre (t_x, t_y) a region
    A_r = [[s_x, 0, t_x], [0, s_y, t_y]]                    eq. 4, with fixed scales
    region_r = the source, sampled by A_r                   (B, R, C', h, w)

x: (B, C, H, W), the map that says where to look; source: (B, C', H', W'), the map that is looked
at, in HA-CNN the one before the block that made x. Coordinates are in [-1, 1]; outside the source
is zero. The weights start at zero and the biases (before the tanh) are spread from top to bottom,
as in torchreid. Hard as the paper calls it: a region is cut out; it learns by the sampling's
gradient.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, Size, zero_
from zoo.sdk.sampling import affine_grid, sample

Scale = tuple[PositiveFloat, PositiveFloat]


class HarmoniousRegions(nn.Module):
    """(x, source) -> R regions of the source, (B, R, C', *region_size).

    Args:
        channels: C.
        num_regions: R, 4.
        region_scale: (s_x, s_y), the regions' width and height relative to the source's, (1, 1/4).
        region_size: height and width that the regions are resized to; None: the source's.
        align_corners: of the regions' sampling, False; their resizing always aligns corners.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_regions: PositiveInt = 4,
        region_scale: Scale = (1.0, 0.25),
        region_size: Size | None = None,
        align_corners: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_regions, self.align_corners = num_regions, align_corners
        self.region_scale, self.region_size = list(region_scale), region_size
        self.fc = nn.Linear(channels, 2 * num_regions, device=device, dtype=dtype)
        self._spread_centres()

    @torch.no_grad()
    def _spread_centres(self) -> None:
        zero_(self.fc)
        for region in range(self.num_regions):
            self.fc.bias[2 * region + 1] = (2 * region + 1) / self.num_regions - 1

    @torch.jit.unused
    def forward(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        """The regions of `source`, by default of x itself, where x says."""
        return self.regions(x if source is None else source, self.theta(x))

    @torch.jit.unused
    def theta(self, x: Tensor) -> Tensor:
        """Centres of the regions in [-1, 1], (B, R, 2) as (t_x, t_y)."""
        return torch.tanh(self.fc(x.mean((2, 3)))).unflatten(1, (-1, 2))

    @torch.jit.unused
    def regions(self, source: Tensor, theta: Tensor) -> Tensor:
        """The regions of a map (B, C', H', W'): (B, R, C', *region_size), sampled in one call."""
        batch, channels, height, width = source.shape
        scale = torch.diag(theta.new_tensor(self.region_scale)).expand(*theta.shape[:2], 2, 2)
        affine = torch.cat([scale, theta.unsqueeze(3)], 3).flatten(0, 1)
        size = [len(affine), 1, height, width]
        grid = affine_grid(affine, size, self.align_corners)
        grid = grid.reshape(batch, -1, width, 2)  # one tall map of all regions
        found = sample(source, grid, self.align_corners)
        found = found.reshape(batch, -1, height, width)
        if self.region_size is not None:
            found = F.interpolate(found, self.region_size, mode="bilinear", align_corners=True)
        return found.unflatten(1, (channels, -1)).transpose(1, 2)
