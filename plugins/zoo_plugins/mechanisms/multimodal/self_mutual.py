"""Selective self-mutual attention (Liu, Zhang, Han, CVPR 2020, section 3; S2MA).

    w = softmax_2(relu(BN(conv1x1([x, d]))))                            per position, summing to one
    y_i = x_i + W_R sum_j softmax_j(R_ij + w1_i D_ij) g_R(x_j)
    z_i = d_i + W_D sum_j softmax_j(D_ij + w2_i R_ij) g_D(d_j)
    R_ij = theta_R(x_i) . phi_R(x_j),   D_ij = theta_D(d_i) . phi_D(d_j)

x, y: (B, C, H, W), image features; d, z: the same shape, depth features. theta, phi, g: 1x1 to C/2,
of relu(BN(x)) and relu(BN(d)); the residuals add x and d themselves. Each modality attends by its
own affinity and the other's. The ReLU before the softmax of w is in the authors' code. The weighted
sum of the affinities is one dot product of joined queries and keys, and both modalities share the
keys. Parameter names are the authors', except that R_ and F_ are `image_` and `depth_`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, bottleneck_width
from zoo.sdk.inputs import check_shape

NAME = "self_mutual"
SMALL = 1024  # keys up to which, on a CPU, the plain products are faster than the fused kernel


class SelfMutual(nn.Module):
    """(image, depth) -> both, each attended to by its own affinity and the other's.

    Args:
        channels: C.
        reduction: theta, phi and g have C / reduction channels.
        reduced_channels: their number itself.
        bias: of the 1x1 convolutions.
        selection: weigh the other's affinity by w, else by 1.
    """

    def __init__(
        self,
        channels: PositiveInt,
        *,
        reduction: PositiveFloat = 2,
        reduced_channels: PositiveInt | None = None,
        bias: bool = True,
        selection: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.channels = channels
        width = bottleneck_width(channels, reduction, reduced_channels)
        dd: Any = {"device": device, "dtype": dtype}
        self.image = Branch(channels, width, bias, dd)
        self.depth = Branch(channels, width, bias, dd)
        self.select = None
        if selection:
            conv = nn.Conv2d(2 * channels, 2, 1, bias=bias, **dd)
            self.select = nn.Sequential(conv, nn.BatchNorm2d(2, **dd), nn.ReLU(inplace=True))

    def forward(self, image: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        check_shape(NAME, "image", image, ("B", self.channels, "H", "W"))
        check_shape(NAME, "depth", depth, tuple(image.shape))
        theta_r, phi_r, g_r = self.image(image)
        theta_d, phi_d, g_d = self.depth(depth)
        of_depth, of_image = self.selection(image, depth).flatten(2).unsqueeze(3).unbind(1)
        own_image = torch.cat([theta_r, of_depth * theta_d], 2)
        own_depth = torch.cat([of_image * theta_r, theta_d], 2)
        queries = torch.stack([own_image, own_depth], 1)
        keys = torch.cat([phi_r, phi_d], 2).unsqueeze(1).expand_as(queries)
        seen = attend(queries, keys, torch.stack([g_r, g_d], 1))
        seen = seen.transpose(2, 3).unflatten(3, image.shape[2:])
        return image + self.image.W(seen[:, 0]), depth + self.depth.W(seen[:, 1])

    def selection(self, image: Tensor, depth: Tensor) -> Tensor:
        """w, (B, 2, H, W): of the depth's affinity for the image, and the reverse."""
        if self.select is None:
            return image.new_ones(image.shape[0], 2, *image.shape[2:])
        return torch.softmax(self.select(torch.cat([image, depth], 1)), 1)


class Branch(nn.Module):
    """One modality's projections: (B, C, H, W) -> theta, phi and g, (B, HW, C/2) each."""

    def __init__(self, channels: int, width: int, bias: bool, dd: dict[str, Any]) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, **dd)
        self.theta = nn.Conv2d(channels, width, 1, bias=bias, **dd)
        self.phi = nn.Conv2d(channels, width, 1, bias=bias, **dd)
        self.g = nn.Conv2d(channels, width, 1, bias=bias, **dd)
        self.W = nn.Conv2d(width, channels, 1, bias=bias, **dd)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = F.relu(self.norm(x))
        theta, phi, g = (f(x).flatten(2).transpose(1, 2) for f in (self.theta, self.phi, self.g))
        return theta, phi, g


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T) v without a scale; q, k: (B, 2, N, 2d), v: (B, 2, N, d)."""
    if not q.is_cuda and k.shape[2] <= SMALL:
        return torch.softmax(q @ k.transpose(2, 3), 3) @ v
    padded = F.pad(v, (0, k.shape[3] - v.shape[3]))  # the kernels want one width
    return F.scaled_dot_product_attention(q, k, padded, scale=1.0)[..., : v.shape[3]]


def reference_call(module: SelfMutual, image: Tensor, depth: Tensor) -> tuple[Tensor, ...]:
    """What a reference case records: both maps and the selection."""
    return *module(image, depth), module.selection(image, depth)
