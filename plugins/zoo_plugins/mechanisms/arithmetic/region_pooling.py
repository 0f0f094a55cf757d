"""The regions at either side of a line, of mirror attention's pooling (see `mirror.py`).

The line is drawn on the map where the mask of one side has an edge (its Laplacian is not zero),
and blurred with a Gaussian, to a maximum of 1. Positions on the line belong to neither side. The
arithmetic that decides on which side a position lies is the authors', since rounding decides too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk.precision import at_least_float32


class LineRegions(nn.Module):
    """(map (1, C, H, W), N lines in pixels of the image) -> weights near each line, and its sides.

    Args:
        image_size: (height, width) in pixels.
        stride: pixels of the image for one of the map; None for the ratio of their sizes.
        kernel_size, sigma: of the blur, in pixels of the map; the kernel is odd.
    """

    def __init__(
        self, image_size: tuple[int, int], stride: int | None, kernel_size: int, sigma: float
    ) -> None:
        super().__init__()
        self.height, self.width = image_size
        self.stride, self.kernel_size, self.sigma = stride, kernel_size, sigma

    def forward(self, x: Tensor, line: Tensor) -> tuple[Tensor, Tensor]:
        """Weights in [0, 1], (N, 1, H, W); and the two sides, 1 or 0, (N, 2, H, W)."""
        sides = self._sides(x, line)
        near = self._blur(_edge(sides[:, :1]))
        return near, sides * (near != 0)

    def normalised(self, line: Tensor) -> Tensor:
        """Lines in [-1, 1], -1 and 1 being the centres of the image's outermost pixels."""
        line = at_least_float32(line)
        return (line / self._extent(line) - 0.5) * 2

    def pool(self, x: Tensor, sides: Tensor) -> Tensor:
        """The means over both sides, (N, 2C, 1, 1)."""
        sums = torch.einsum("nchw,nshw->nsc", x, sides)
        counts = sides.sum((2, 3)).unsqueeze(2) + 1e-9
        return (sums / counts).flatten(1)[:, :, None, None]

    def _extent(self, line: Tensor) -> Tensor:
        return line.new_tensor([self.width, self.height, self.width, self.height]) - 1

    def _sides(self, x: Tensor, line: Tensor) -> Tensor:
        """Left and right of the line; above and below a horizontal one."""
        height, width = x.shape[2:]
        line = at_least_float32(line)
        size = line.new_tensor([width, height, width, height])
        if self.stride is not None:
            size = (self._extent(line) + 1) / self.stride
        line = line / self._extent(line) * (size - 1)
        x1, y1, x2, y2 = (part[:, None, None] for part in line.unbind(1))
        ys = torch.arange(height, device=x.device, dtype=line.dtype)[:, None]
        xs = torch.arange(width, device=x.device, dtype=line.dtype)
        flat = y1 == y2
        slope = (x1 - x2) / torch.where(flat, 1, y1 - y2)
        border = slope * ys + (-slope * y1 + x1)
        before = torch.where(flat, ys < y1, xs < border)
        after = torch.where(flat, ys > y1, xs > border)
        return torch.stack([before, after], 1).to(x.dtype)

    def _blur(self, mask: Tensor) -> Tensor:
        reach = self.kernel_size // 2
        offsets = torch.arange(-reach, reach + 1, device=mask.device, dtype=mask.dtype)
        kernel = torch.exp(-offsets.square() / (2 * self.sigma**2))
        kernel = kernel[:, None] * kernel
        padded = F.pad(mask, (reach, reach, reach, reach), mode="replicate")
        blurred = F.conv2d(padded, (kernel / kernel.sum())[None, None])
        return blurred / (blurred.amax((2, 3), keepdim=True) + 1e-9)


def _edge(mask: Tensor) -> Tensor:
    """1 where a pixel differs from the mean of its four neighbours, else 0."""
    padded = F.pad(mask, (1, 1, 1, 1), mode="replicate")
    around = padded[:, :, 1:-1, :-2] + padded[:, :, 1:-1, 2:]
    around = around + padded[:, :, :-2, 1:-1] + padded[:, :, 2:, 1:-1]
    return (around != 4 * mask).to(mask.dtype)
