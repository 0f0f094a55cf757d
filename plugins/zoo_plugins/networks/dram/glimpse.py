"""Glimpse network of the Deep Recurrent Attention Model: what x where.

Ba, Mnih, Kavukcuoglu, "Multiple Object Recognition with Visual Attention", ICLR 2015
(arXiv 1412.7755), section 3.

    g = relu(W_x a(conv(a(conv(a(conv(x)))))) * relu(W_l l)

x: concentric patches around l, each reduced to the size of the first; l = (x, y) in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk.inputs import check_shape
from zoo.sdk.options import refuse
from zoo_plugins.mechanisms.hard.retina import LARGEST_SIDE, crop_patches, locate

NAME = "dram"
KERNELS = (5, 3, 3)
LOST = sum(KERNELS) - len(KERNELS)  # pixels that the convolutions cut off


class Convolutions(nn.Module):
    """Three convolutions of 5 x 5, 3 x 3, 3 x 3 without padding or pooling, and a linear layer.

    Args:
        channels: of the input. size: (H, W) of the input.
        filters: of each convolution. width: of the linear layer.
        linear: no ReLU after the convolutions, as in the port.

    Shape: (N, channels, H, W) -> (N, width), after a ReLU.
    """

    def __init__(
        self, channels: int, size: tuple[int, int], filters: Sequence[int], width: int,
        *, linear: bool = False, **dd: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        first, second, third = filters
        self.linear = linear
        self.conv1 = nn.Conv2d(channels, first, KERNELS[0], **dd)
        self.conv2 = nn.Conv2d(first, second, KERNELS[1], **dd)
        self.conv3 = nn.Conv2d(second, third, KERNELS[2], **dd)
        self.dense = nn.Linear(third * (size[0] - LOST) * (size[1] - LOST), width, **dd)
        if not linear:
            for layer in (self.conv1, self.conv2, self.conv3, self.dense):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.get_parameter("bias"))

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.conv1, self.conv2, self.conv3):
            x = conv(x) if self.linear else F.relu(conv(x))
        return F.relu(self.dense(x.flatten(1)))


class GlimpseNetwork(nn.Module):
    """image (B, C, H, W) and location (..., B, 2) -> g (..., B, glimpse_dim).

    Args:
        channels: C. patch_size: p, side of the finest patch in pixels, at least 9.
        num_scales: patches a glimpse; the i-th is i times as wide.
        filters, glimpse_dim: of the convolutions and of g.
        port: read patches as the port does: corners truncated as TensorFlow 1 does, every i-th
            pixel kept, scales stacked in height. Otherwise centred as in RAM, averaged over i x i
            pixels, and scales stacked as channels.
    """

    def __init__(
        self,
        channels: int,
        *,
        patch_size: int,
        num_scales: int,
        filters: Sequence[int],
        glimpse_dim: int,
        port: bool = False,
        **dd: Any,
    ) -> None:
        super().__init__()
        side, count = patch_size, num_scales
        if side * count > LARGEST_SIDE:
            refuse(NAME, f"patch_size={side} and num_scales={count} make a patch too wide")
        self.channels, self.port = channels, port
        self.sides = tuple(side * (i + 1) for i in range(count))
        self.patch_shape = (
            (channels, side * count, side) if port else (channels * count, side, side)
        )
        self.what = Convolutions(
            self.patch_shape[0], self.patch_shape[1:], filters, glimpse_dim, linear=port, **dd
        )
        self.where = nn.Linear(2, glimpse_dim, **dd)
        if not port:
            nn.init.ones_(self.where.bias)  # every unit open at first: g = what

    def retina(self, image: Tensor, location: Tensor) -> Tensor:
        """x: (..., B, *patch_shape), zero outside the image.

        Differentiable in the image; no gradient reaches the location, which becomes a pixel.
        """
        size, first = (image.shape[-2], image.shape[-1]), self.sides[0]
        patches: list[Tensor] = []
        for step, side in enumerate(self.sides, 1):
            centre = _corner(location, size, side) if self.port else locate(location, size)
            patch = crop_patches(image, centre, side)
            if step > 1 and self.port:
                patch = patch[..., ::step, ::step]
            elif step > 1:
                pooled = F.avg_pool2d(patch.flatten(0, -4), step)
                patch = pooled.view(*patch.shape[:-2], first, first)
            patches.append(patch)
        return torch.cat(patches, -2 if self.port else -3) if len(patches) > 1 else patches[0]

    def encode(self, patches: Tensor, location: Tensor) -> Tensor:
        """g of what `retina` saw at `location`."""
        weight = self.where.weight
        what = self.what(patches.flatten(0, -4).to(weight.dtype))
        # Locations stay in float32 even where the network does not: a pixel must not be lost.
        where = F.relu(self.where(location.to(weight.dtype)))
        return what.unflatten(0, patches.shape[:-3]) * where

    def forward(self, image: Tensor, location: Tensor) -> Tensor:
        return self.encode(self.retina(image, location), location)

    def check(self, patches: Tensor) -> None:
        """Refuse patches (T, B, ...) that `retina` would not make."""
        check_shape(NAME, "patches", patches, ("T", "B", *self.patch_shape))


def _corner(location: Tensor, size: tuple[int, int], side: int) -> Tensor:
    """TensorFlow 1's corner, trunc(l W/2 + W/2 - side/2), as the centre of `crop_patches`."""
    extent = location.new_tensor([size[1], size[0]])
    return (location * extent / 2 + extent / 2 - side / 2).to(torch.int64) + side // 2
