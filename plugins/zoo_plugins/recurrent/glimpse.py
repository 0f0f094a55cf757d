"""Glimpse sensor and glimpse network of the Recurrent Attention Model.

Mnih, Heess, Graves, Kavukcuoglu, "Recurrent Models of Visual Attention", NIPS 2014
(arXiv 1406.6247), section 3.1 and appendix. The authors released no code; sizes and roundings
follow the best-known port (kevinzakka/recurrent-visual-attention, MIT).
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zoo_plugins.common.inputs import check_shape
from zoo_plugins.common.options import agree, check_choice, check_int, check_number, refuse

from zoo.errors import UsageError

LARGEST_SIDE = 4096  # pixels; a wider patch is a mistake in `scale` or `num_patches`


def locate(location: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixel coordinates (x, y) that `location` in [-1, 1] points at: trunc((l + 1) / 2 * size).

    Args:
        location: (..., 2) as (x, y); -1 is the first pixel's edge, 1 is one past the last pixel.
        size: (H, W) of the image.

    Returns:
        int64 (..., 2). The port scales both axes by H; here x is scaled by W.
    """
    height, width = size
    x, y = location.unbind(-1)
    pixel = torch.stack(((x + 1.0) * width, (y + 1.0) * height), -1)
    return (0.5 * pixel).to(torch.int64)


def crop_patches(image: Tensor, centre: Tensor, side: int) -> Tensor:
    """One `side` x `side` patch around each centre, zero where it leaves the image.

    The indices are clamped and what lies outside is masked, so the image is never padded or
    copied, and no sample is looped over.

    Args:
        image: (B, C, H, W).
        centre: int64 (..., B, 2) as (x, y); rows y - side//2 to y - side//2 + side are taken.

    Returns:
        (..., B, C, side, side). Differentiable in `image`.
    """
    height, width = image.shape[-2:]
    offsets = torch.arange(side, device=image.device) - side // 2
    x, y = centre[..., :1] + offsets, centre[..., 1:] + offsets
    column, row = x.clamp(0, width - 1), y.clamp(0, height - 1)
    index = (row * width)[..., :, None] + column[..., None, :]
    lead, channels = centre.shape[:-1], image.shape[1]
    index = index.flatten(-2)[..., None, :].expand(*lead, channels, side * side)
    pixels = image.flatten(2).expand(*lead, channels, height * width).gather(-1, index)
    pixels = pixels.view(*lead, channels, side, side)
    # Masked axis by axis and in place: one mask of the patch's size would cost as much again.
    pixels.mul_((row == y).to(image.dtype)[..., None, :, None])
    return pixels.mul_((column == x).to(image.dtype)[..., None, None, :])


def patch_sides(patch_size: int, num_patches: int, scale: float) -> tuple[int, ...]:
    """Sides of the patches of one glimpse in pixels: each is int(the one before * scale)."""
    sides = [patch_size]
    while len(sides) < num_patches and sides[-1] <= LARGEST_SIDE:
        sides.append(int(sides[-1] * scale))
    return tuple(sides)


def extract_glimpse(image: Tensor, location: Tensor, sides: tuple[int, ...]) -> Tensor:
    """The retina rho(x, l): concentric patches, all reduced to the size of the first.

    Wider patches are average-pooled (the paper resizes and does not say how).

    Args:
        image: (B, C, H, W). location: (..., B, 2) as (x, y) in [-1, 1].
        sides: of the patches, in pixels; see `patch_sides`.

    Returns:
        (..., B, len(sides) * C * sides[0]^2), scale-major, then channel, row, column.
        No gradient reaches `location`: the crop is an integer index.
    """
    centre = locate(location, (image.shape[-2], image.shape[-1]))
    patches: list[Tensor] = []
    for side in sides:
        patch = crop_patches(image, centre, side)
        if side != sides[0]:
            pooled = _average(patch.flatten(0, -4), sides[0])
            patch = pooled.unflatten(0, patch.shape[:-3])
        patches.append(patch.flatten(-3))
    return torch.cat(patches, -1) if len(patches) > 1 else patches[0]


def _average(patch: Tensor, side: int) -> Tensor:
    """Average-pool to `side`; where that does not divide, with windows of unequal width."""
    window, rest = divmod(patch.shape[-1], side)
    return F.adaptive_avg_pool2d(patch, side) if rest else F.avg_pool2d(patch, window)


class GlimpseSensor(nn.Module):
    """Glimpse network: g = relu(W_3 relu(W_1 rho(x, l)) + W_4 relu(W_2 l)).

    Args:
        channels: C of the image.
        patch_size: side of the finest patch in pixels.
        num_patches: patches a glimpse, each `scale` times wider than the one before.
        scale: growth of the side, at least 1 so that patches do not shrink.
        glimpse_hidden, location_hidden: widths of the "what" and the "where" branch (128, 128).
        out_dim: width of g; the sum of the two branches (256 in the paper), which is its default.
        padding: what lies outside the image; only `"zeros"`.
        resize: how wide patches are reduced; only `"avg_pool"`.

    Shape:
        image (B, C, H, W) and location (..., B, 2) -> g (..., B, out_dim).

    Raises:
        OptionError: a size below one, an `out_dim` that is not the sum, another padding or resize.
    """

    def __init__(
        self,
        channels: int = 1,
        *,
        patch_size: int = 8,
        num_patches: int = 1,
        scale: float = 2,
        glimpse_hidden: int = 128,
        location_hidden: int = 128,
        out_dim: int | None = None,
        padding: str = "zeros",
        resize: str = "avg_pool",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = "glimpse_sensor"
        channels = check_int(name, "channels", channels)
        patch_size = check_int(name, "patch_size", patch_size)
        num_patches = check_int(name, "num_patches", num_patches)
        scale = check_number(name, "scale", scale, above=math.nextafter(1, 0))
        what = check_int(name, "glimpse_hidden", glimpse_hidden)
        where = check_int(name, "location_hidden", location_hidden)
        check_choice(name, "padding", padding, ("zeros",))
        check_choice(name, "resize", resize, ("avg_pool",))
        self.out_dim = what + where
        agree(
            name,
            out_dim=out_dim,
            **{"glimpse_hidden + location_hidden": (f"{what} + {where}", self.out_dim)},
        )
        self.sides = patch_sides(patch_size, num_patches, scale)
        if self.sides[-1] > LARGEST_SIDE:
            refuse(
                name,
                f"patch_size={patch_size}, num_patches={num_patches}, scale={scale:g} make a patch "
                f"wider than {LARGEST_SIDE} pixels",
            )
        factory = {"device": device, "dtype": dtype}
        self.channels = channels
        pixels = num_patches * channels * patch_size**2
        self.what_hidden = nn.Linear(pixels, what, **factory)
        self.where_hidden = nn.Linear(2, where, **factory)
        self.what = nn.Linear(what, self.out_dim, **factory)
        self.where = nn.Linear(where, self.out_dim, **factory)
        for layer in (self.what_hidden, self.where_hidden, self.what, self.where):
            nn.init.kaiming_normal_(layer.weight)

    def retina(self, image: Tensor, location: Tensor) -> Tensor:
        """rho(x, l), flat; see `extract_glimpse`."""
        return extract_glimpse(image, location, self.sides)

    def encode(self, pixels: Tensor, location: Tensor) -> Tensor:
        """g of the flat pixels that `retina` took at `location`."""
        what = self.what(F.relu(self.what_hidden(pixels)))
        # Locations stay in float32 even where the network does not: a pixel must not be lost.
        location = location.to(self.where_hidden.weight.dtype)
        return F.relu(what + self.where(F.relu(self.where_hidden(location))))

    def forward(self, image: Tensor, location: Tensor) -> Tensor:
        """g; raises a `UsageError` for what cannot be looked at."""
        check_view(image, location, self.channels, self.sides[0])
        return self.encode(self.retina(image, location), location)


def check_view(image: Tensor, location: Tensor, channels: int, side: int) -> None:
    """Refuse what cannot be looked at: other channels, a smaller image, a place outside it.

    Places are read on the CPU only, and not while a graph is recorded: elsewhere it would wait.
    """
    check_shape("glimpse", "image", image, ("B", channels, "H", "W"))
    if min(image.shape[2:]) < side:
        raise UsageError(
            f"an image of {image.shape[2]}x{image.shape[3]} pixels is smaller than a glimpse",
            where="attention 'glimpse'",
            remedy=f"images of at least {side}x{side}, or a smaller patch_size",
        )
    recorded = torch.compiler.is_compiling() or torch.jit.is_tracing()
    if location.device.type == "cpu" and not recorded and bool((location.abs() > 1).any()):
        raise UsageError(
            f"a location reaches {float(location.abs().max()):g}, outside [-1, 1]",
            where="attention 'glimpse'",
            remedy="(x, y) in [-1, 1], the image's edges",
        )


def retina_and_glimpse(
    module: GlimpseSensor, image: Tensor, location: Tensor
) -> tuple[Tensor, Tensor]:
    """What a reference case records: (phi, g)."""
    pixels = module.retina(image, location)
    return pixels, module.encode(pixels, location)


def example(channels: int, batch: int, generator: torch.Generator) -> tuple[dict[str, Any], Any]:
    """An image and a location, for the conformance kit."""
    image = torch.rand(batch, channels, 28, 28, generator=generator)
    return {}, (image, torch.rand(batch, 2, generator=generator) * 2 - 1)
