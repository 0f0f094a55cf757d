"""Mirror attention (Jin, Lee, Kim, ECCV 2020, arXiv 2007.08139).

    x' = x mirrored at a line, by bilinear sampling, zero outside
    a = sigmoid(conv7x7(relu(conv7x7(relu(conv3x3([x; x']))))))        one plane throughout
    y = x + x * a

x, y: (B, C, H, W); line: (B, 4), the points (x1, y1, x2, y2) in [-1, 1], -1 and 1 being the
outermost pixels' centres. The reflection is that of the square [-1, 1]^2, hence skewed on a map
that is not square, as in the authors' code.

With `region_pooling`, the whole of their pooling module: one map (1, C, H, W) and N lines (N, 4) in
pixels of the image -> (N, 2C, 1, 1), the mean of y on either side near the line
(`region_pooling.py`).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveFloat, PositiveInt, Size, refuse
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import as_pair
from zoo.sdk.precision import at_least_float32
from zoo.sdk.sampling import sample
from zoo_plugins.mechanisms.arithmetic.region_pooling import LineRegions

NAME = "mirror"


class Mirror(nn.Module):
    """(x, line) -> x, attended to where both sides of the line mirror each other.

    Args:
        channels: C.
        kernel_size, hidden_kernel_size: of the first convolution, 3, and of the other two, 7; odd.
        bias: of the convolutions, False.
        residual: y = x + x a; else x a.
        align_corners: of the sampling, True.
        region_pooling: see above; False. The next four belong to it.
        image_size: (height, width) of the image in pixels, or one number; needed to pool regions.
        stride: pixels of the image for one of the map; by default the ratio of their sizes.
        gaussian_kernel, gaussian_sigma: of the blur of the line, 5 and 5 pixels of the map; the
            kernel is odd.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: OddInt = 3,
        hidden_kernel_size: OddInt = 7,
        bias: bool = False,
        residual: bool = True,
        align_corners: bool = True,
        region_pooling: bool = False,
        image_size: Size | None = None,
        stride: PositiveInt | None = None,
        gaussian_kernel: OddInt = 5,
        gaussian_sigma: PositiveFloat = 5,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.channels, self.residual, self.align_corners = channels, residual, align_corners
        dd: Any = {"bias": bias, "padding": "same", "device": device, "dtype": dtype}
        self.process = nn.Sequential(
            nn.Conv2d(2 * channels, 1, kernel_size, **dd),
            nn.ReLU(inplace=True),
            nn.Conv2d(1, 1, hidden_kernel_size, **dd),
            nn.ReLU(inplace=True),
            nn.Conv2d(1, 1, hidden_kernel_size, **dd),
            nn.Sigmoid(),
        )
        self.regions = None
        if region_pooling:
            if image_size is None:
                refuse(NAME, "region_pooling needs the size of the image", "image_size=(96, 96)")
            size = as_pair(image_size)
            self.regions = LineRegions(size, stride, gaussian_kernel, gaussian_sigma)

    def forward(self, x: Tensor, line: Tensor) -> Tensor:
        check_shape(NAME, "x", x, ("B", self.channels, "H", "W"))
        if self.regions is None:
            check_shape(NAME, "line", line, (x.shape[0], 4))
            return self.attend(x, line)[0]
        check_shape(NAME, "line", line, ("N", 4))
        check_shape(NAME, "x", x, (1, self.channels, "H", "W"))
        near, sides = self.regions(x, line)
        y, _ = self.attend(x * near, self.regions.normalised(line))
        return self.regions.pool(y, sides)

    def attend(self, x: Tensor, line: Tensor) -> tuple[Tensor, Tensor]:
        """y and the attention (B, 1, H, W)."""
        attention = self.process(torch.cat([x, self.flip(x, mirror_grid(x, line))], 1))
        return torch.addcmul(x, x, attention) if self.residual else x * attention, attention

    def flip(self, x: Tensor, grid: Tensor) -> Tensor:
        """x sampled at the mirrored positions, (B, C, H, W)."""
        return sample(x, grid, self.align_corners)


def mirror_grid(x: Tensor, line: Tensor) -> Tensor:
    """Where each position of a map lies mirrored at the line, in [-1, 1]^2: (B, H, W, 2) as (x, y).

    With p1 a point of the line and n its normal: p - 2 n (n . (p - p1)) / |n|^2. A line whose
    points are one counts as vertical.
    """
    line = at_least_float32(line)
    start = line[:, None, None, :2]
    run, rise = (line[:, 2:] - line[:, :2]).unbind(1)
    normal = torch.stack([torch.where(run == 0, 1, rise), -run], 1)
    normal = F.normalize(normal, dim=1)[:, None, None]
    ys = torch.linspace(-1, 1, x.shape[2], device=x.device, dtype=line.dtype)
    xs = torch.linspace(-1, 1, x.shape[3], device=x.device, dtype=line.dtype)
    points = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), 2)
    return points - 2 * normal * ((points - start) * normal).sum(3, keepdim=True)


def reference_call(module: Mirror, x: Tensor, line: Tensor) -> dict[str, Tensor]:
    """What the reference cases record, with and without region pooling."""
    found = {"y": module(x, line)}
    if module.regions is not None:
        x = x * module.regions(x, line)[0]
        line = module.regions.normalised(line)
    grid = mirror_grid(x, line)
    parts = {"grid": grid, "flipped": module.flip(x, grid), "masked_features": x}
    return {**found, **parts, "attention": module.attend(x, line)[1]}


def example(channels: int, batch: int, generator: torch.Generator) -> tuple[dict[str, Any], Any]:
    """A map and a line for each sample, for the conformance kit."""
    x = torch.randn(batch, channels, 8, 8, generator=generator)
    return {}, (x, torch.rand(batch, 4, generator=generator) * 2 - 1)
