"""Distorted digits: rotated (R); rotated, scaled and translated (RTS); projected (P); elastic (E).

Jaderberg, Simonyan, Zisserman, Kavukcuoglu, "Spatial Transformer Networks", NIPS 2015
(arXiv 1506.02025). The appendix was not at hand: how far R, RTS and P distort is what independent
preparations of the paper's data use (angles, scales, the canvas, 5 pixels); E is from memory.
All four look up, for each pixel of the canvas, where in the digit it comes from: coordinates are
pixels from the middle of each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo_plugins.datasets.canvases.draws import Draws
from zoo_plugins.datasets.canvases.sampling import sample
from zoo_plugins.datasets.canvases.source import Digits

CORNERS = torch.tensor([(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)], dtype=torch.float64)
LEAST_AREA = 0.35  # of each corner's triangle, as a share of its area before the corners moved
TRIES = 8
KNOTS = 4  # control points of the thin plate spline, along each axis


@dataclass(frozen=True, slots=True)
class Distorted:
    """One digit, distorted, on a `size` x `size` canvas.

    - `r`: rotated by up to 90 degrees either way.
    - `rts`: rotated by up to 45 degrees, scaled by 0.7 to 1.2, and placed where its unrotated box
      fits; 42 x 42 in the paper.
    - `p`: scaled by 0.75 to 1, then each corner moved by a normal draw of 5 pixels, a projection.
      Of the draws, 15 % all but fold the digit, and nobody can read it; the paper, whose errors are
      near one per cent, does not say what it did with those. Here they are drawn again.
    - `e`: scaled by 0.75 to 1, then a thin plate spline through 4 x 4 control points, each moved by
      a normal draw of 1.5 pixels.
    """

    kind: Literal["r", "rts", "p", "e"]
    size: int = 28

    def draw(self, digits: Digits, index: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """uint8 (B, size, size) and the labels (B,) of digits `index`."""
        side = digits.images.shape[-1]
        sources = {"r": _rotated, "rts": _similar, "p": _projected, "e": _elastic}
        source = sources[self.kind](_pixels(self.size), draws, self.size, side)
        index = index.to(digits.device)
        images = sample(digits.images[index], source.unflatten(1, (self.size, self.size)))
        return images, digits.labels[index]


@cache
def _pixels(size: int) -> Tensor:
    """float64 (size * size, 2): (x, y) of each pixel from the middle of the canvas."""
    steps = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    return torch.stack((steps.repeat(size), steps.repeat_interleave(size)), -1)


def _rotated(pixels: Tensor, draws: Draws, size: int, side: int) -> Tensor:
    return _turn(pixels[None], draws.uniform(1, -math.pi / 2, math.pi / 2))


def _similar(pixels: Tensor, draws: Draws, size: int, side: int) -> Tensor:
    angle = draws.uniform(1, -math.pi / 4, math.pi / 4)
    scale = draws.uniform(1, 0.7, 1.2)
    centre = draws.uniform(2, -1, 1) * (size - scale * side) / 2
    return _turn(pixels - centre[:, None], angle) / scale[..., None]


def _turn(points: Tensor, angle: Tensor) -> Tensor:
    """Rotate (B or 1, N, 2) by -angle (B, 1): what looks it up turns the picture by angle."""
    x, y = points.unbind(-1)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack((cos * x + sin * y, cos * y - sin * x), -1)


def _projected(pixels: Tensor, draws: Draws, size: int, side: int) -> Tensor:
    scale = draws.uniform(1, 0.75, 1.0)
    corners = CORNERS * side / 2
    moved = _first_open(corners * scale[..., None], draws)
    x, y, depth = _homography(moved, corners, pixels).unbind(-1)
    # What lies behind the viewer is not on the digit; far outside, it is sampled as black.
    depth = depth.clamp_min(1e-3)
    return torch.stack((x / depth, y / depth), -1)


def _first_open(corners: Tensor, draws: Draws) -> Tensor:
    """(B, 4, 2): corners moved by the first draw that leaves them far from a fold, or unmoved."""
    shifts = 5 * draws.normal(TRIES * 8).view(-1, TRIES, 4, 2)
    tries = corners[:, None] + F.pad(shifts, (0, 0, 0, 0, 0, 1))
    smallest = _corner_areas(tries).amin(-1) / _corner_areas(corners).amin(-1)[:, None]
    first = (smallest >= LEAST_AREA).int().argmax(1)
    return tries[torch.arange(len(tries)), first]


def _corner_areas(corners: Tensor) -> Tensor:
    """(..., 4): twice the signed area of the triangle at each corner, (..., 4, 2) as `CORNERS`."""
    here = corners[..., (0, 1, 3, 2), :]  # in order around the square
    to_next, to_last = here.roll(-1, -2) - here, here.roll(1, -2) - here
    return to_next[..., 0] * to_last[..., 1] - to_next[..., 1] * to_last[..., 0]


def _homography(start: Tensor, end: Tensor, points: Tensor) -> Tensor:
    """(B, N, 3) homogeneous images of (N, 2) points under the projections start -> end.

    start: (B, 4, 2); end: (4, 2). The solution is the direct linear transform's, h_33 = 1.
    """
    x, y = start.unbind(-1)
    u, v = end.expand_as(start).unbind(-1)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    rows_u = torch.stack((x, y, one, zero, zero, zero, -u * x, -u * y), -1)
    rows_v = torch.stack((zero, zero, zero, x, y, one, -v * x, -v * y), -1)
    system, wanted = torch.cat((rows_u, rows_v), 1), torch.cat((u, v), 1)
    solution = torch.linalg.lstsq(system, wanted[..., None]).solution[..., 0]
    matrix = torch.cat((solution, torch.ones_like(solution[:, :1])), 1).view(-1, 3, 3)
    a, b, c = matrix[:, None].unbind(-1)
    return points[:, :1] * a + points[:, 1:] * b + c


def _elastic(pixels: Tensor, draws: Draws, size: int, side: int) -> Tensor:
    scale = draws.uniform(1, 0.75, 1.0)
    moved = 1.5 * draws.normal(2 * KNOTS**2).view(-1, KNOTS**2, 2)
    shift = torch.einsum("nk,bkd->bnd", _spline(size, side), moved)
    return (pixels + shift) / scale[..., None]


@cache
def _spline(size: int, side: int) -> Tensor:
    """(size * size, 16): what each control point's displacement adds at each pixel.

    A thin plate spline is linear in the displacements (Bookstein 1989).
    """
    steps = torch.linspace(-side / 2, side / 2, KNOTS, dtype=torch.float64)
    knots = torch.stack((steps.repeat(KNOTS), steps.repeat_interleave(KNOTS)), -1)
    flat = torch.cat((torch.ones(len(knots), 1, dtype=torch.float64), knots), 1)
    system = torch.zeros(len(knots) + 3, len(knots) + 3, dtype=torch.float64)
    system[: len(knots)] = torch.cat((_bending(knots, knots), flat), 1)
    system[len(knots) :, : len(knots)] = flat.T
    pixels = _pixels(size)
    basis = torch.cat((_bending(pixels, knots), torch.ones(len(pixels), 1), pixels), 1)
    return (basis @ torch.linalg.inv(system))[:, : len(knots)]


def _bending(points: Tensor, knots: Tensor) -> Tensor:
    """U(r) = r^2 log r^2 of all distances, 0 at r = 0."""
    square = (points[:, None] - knots).square().sum(-1)
    return torch.special.xlogy(square, square)
