"""Grid and sampler of a spatial transformer (arXiv 1506.02025, sections 3.2 and 3.3).

    (x_s, y_s) = T_theta(x_t, y_t)          where each pixel of the output looks, in [-1, 1]
    y = x sampled at (x_s, y_s), bilinearly, zero outside

    affine      6 parameters, eq. 1          attention   3: s, t_x, t_y, eq. 10
    projective  8, the last of nine is 1     tps        2K: where K control points look

A thin plate spline (Bookstein 1989) is the smoothest map that takes the K = k x k points of a
regular grid to the given ones; it is linear in them, so the system is solved once:

    T(p) = A (1, p) + sum_i w_i U(|p - c_i|),   U(r) = r^2 log r^2

All parameters are given as what is added to those of the identity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from timm.layers import register_notrace_module
from torch import Tensor

from zoo.sdk import refuse
from zoo.sdk.precision import at_least_float32, without_autocast
from zoo.sdk.sampling import sample
from zoo.sdk.tables import Tables

NAME = "spatial_transformer"
IDENTITIES = {
    "affine": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "attention": (1.0, 0.0, 0.0),
    "projective": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0),
}
TRANSFORMS = (*IDENTITIES, "tps")
SIDE = 8  # points on each side of the outline of a curved map
Points = NDArray[np.float64]


class Warp(Tables):
    """x (B, C, H, W) and parameters (B, P) -> x resampled, of the same shape.

    Args:
        image_size: (H, W).
        transform: `affine`, `attention`, `projective` or `tps`.
        control_points: k of the k x k control points of `tps`, 4 as in the paper.
        align_corners: whether -1 and 1 are the centres of the outermost pixels (True), or their
            outer edges (False).
    """

    __constants__ = ["SMALLEST_DEPTH"]  # of TorchScript
    SMALLEST_DEPTH = 1e-2  # a projective map is cut off before its horizon

    if TYPE_CHECKING:  # TorchScript cannot read postponed annotations
        basis: Tensor
        edge: Tensor
        identity: Tensor

    def __init__(
        self,
        image_size: tuple[int, int],
        transform: str = "affine",
        *,
        control_points: int = 4,
        align_corners: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.kind, self.align_corners = transform, align_corners
        self.control_points = control_points
        if transform == "tps" and control_points < 2:
            what = f"a grid of {control_points} x {control_points} control points has no extent"
            refuse(NAME, what, "control_points=4")
        if align_corners and min(image_size) == 1:
            refuse(NAME, f"a map of {image_size} has no corners to align", "align_corners=False")
        self.size = image_size
        for name, value in self._values().items():
            table = torch.empty(value.shape, dtype=dtype, device=device)
            self.register_buffer(name, table, persistent=False)
        self.num_parameters = len(self.identity)
        self._init_buffers()

    def _init_buffers(self) -> None:
        for name, value in self._values().items():
            self.get_buffer(name).copy_(torch.from_numpy(value))

    def _values(self) -> dict[str, Points]:
        """What transforms no point, and what takes parameters to the pixels and to the edge."""
        spline = self.kind == "tps"
        control = _control_points(self.control_points)
        solve = _spline(control) if spline else _homogeneous
        return {
            "identity": np.asarray(control.ravel() if spline else IDENTITIES[self.kind]),
            "basis": solve(_pixels(*self.size, self.align_corners)),
            "edge": solve(_edge(SIDE if spline else 1)),
        }

    def forward(self, x: Tensor, parameters: Tensor) -> Tensor:
        grid = self._points(self.basis, parameters).unflatten(1, self.size)
        return sample(x, grid, self.align_corners)

    def outline(self, parameters: Tensor) -> Tensor:
        """Where the edge of the output looks: a closed polygon, (B, points, 2) as (x, y).

        Four corners, from the upper left clockwise; of `tps` eight points a side.
        """
        return self._points(self.edge, parameters)

    def _points(self, basis: Tensor, offset: Tensor) -> Tensor:
        """(N, ...) points of the output and (B, P) -> (B, N, 2) points of the input.

        Never in half precision: a pixel must not be lost.
        """
        if torch.jit.is_scripting():
            return self._moved(basis, offset)
        else:
            with without_autocast(offset):
                return self._moved(basis, offset)

    def _moved(self, basis: Tensor, offset: Tensor) -> Tensor:
        offset = at_least_float32(offset)
        basis = basis.to(offset.dtype)
        p = self.identity.to(offset.dtype) + offset
        if self.kind == "tps":
            return basis @ p.unflatten(1, (-1, 2))
        if self.kind == "affine":
            return basis @ p.unflatten(1, (2, 3)).mT
        if self.kind == "attention":
            return basis[:, :2] * p[:, None, :1] + p[:, None, 1:]
        x = basis @ F.pad(p, (0, 1), value=1.0).unflatten(1, (3, 3)).mT
        return x[..., :2] / x[..., 2:].clamp_min(self.SMALLEST_DEPTH)


register_notrace_module(Warp)  # what it does depends on the device


def _pixels(height: int, width: int, align_corners: bool) -> Points:
    """(H * W, 2): the pixels' centres as (x, y)."""
    rows, columns = (
        np.linspace(-1, 1, n) * (1 if align_corners else 1 - 1 / n) for n in (height, width)
    )
    y, x = np.meshgrid(rows, columns, indexing="ij")
    return np.stack((x.ravel(), y.ravel()), 1)


def _edge(points: int) -> Points:
    """The edge of the square clockwise from the upper left, `points` a side."""
    along = np.linspace(-1, 1, points, endpoint=False)
    one = np.ones_like(along)
    sides = ((along, -one), (one, along), (-along, one), (-one, -along))
    return np.concatenate([np.stack(side, 1) for side in sides])


def _control_points(per_side: int) -> Points:
    return _pixels(per_side, per_side, True)


def _homogeneous(points: Points) -> Points:
    return np.concatenate((points, np.ones((len(points), 1))), 1)


def _spline(control: Points) -> Any:
    """points (N, 2) -> (N, K): what each control point's place weighs in each point's."""

    def radial(points: Points) -> Points:
        square = ((points[:, None] - control) ** 2).sum(-1)
        kernel = square * np.log(np.where(square > 0, square, 1.0))
        return np.concatenate((kernel, _homogeneous(points)), 1)

    count = len(control)
    system = np.zeros((count + 3, count + 3))
    system[:count] = radial(control)
    system[count:, :count] = _homogeneous(control).T
    solution = np.linalg.inv(system)[:, :count]
    return lambda points: radial(points) @ solution
