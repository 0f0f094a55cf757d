"""The retina of hard attention: what is seen of an image around a location.

Mnih, Heess, Graves, Kavukcuoglu, "Recurrent Models of Visual Attention", NIPS 2014
(arXiv 1406.6247), section 3.1. The authors released no code; roundings follow the best-known port
(kevinzakka/recurrent-visual-attention, MIT).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import UsageError
from zoo.sdk.inputs import check_shape
from zoo.sdk.precision import at_least_float32

LARGEST_SIDE = 4096  # pixels; a wider patch is a mistake in `scale` or `num_patches`
PIXELS_CROPPED = 8.0  # for each pixel of the image: from here on its integral image is cheaper


def locate(location: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixel coordinates (x, y) that `location` in [-1, 1] points at: trunc((l + 1) / 2 * size).

    Args:
        location: (..., 2) as (x, y); -1 is the first pixel's edge, 1 is one past the last pixel.
        size: (H, W) of the image.

    Returns:
        int64 (..., 2). The port scales both axes by H; here x is scaled by W.
    """
    height, width = size
    x, y = at_least_float32(location).unbind(-1)
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
    pixels = gather_grid(image, row, column)
    # Masked axis by axis and in place: one mask of the patch's size would cost as much again.
    pixels.mul_((row == y).to(image.dtype)[..., None, :, None])
    return pixels.mul_((column == x).to(image.dtype)[..., None, None, :])


def check_view(image: Tensor, location: Tensor, channels: int, side: int) -> None:
    """Refuse what cannot be looked at: other channels, a smaller image, a place outside it.

    Places are read on the CPU only, and not while a graph is recorded: elsewhere it would wait.
    """
    check_size(image, channels, side)
    if location.ndim < 2 or location.shape[-2:] != (image.shape[0], 2):
        raise UsageError(
            f"locations have shape {tuple(location.shape)}",
            where="attention 'glimpse'",
            remedy=f"(..., {image.shape[0]}, 2): (x, y) for each image",
        )
    recorded = torch.compiler.is_compiling() or torch.jit.is_tracing()
    if location.device.type == "cpu" and not recorded and not bool((location.abs() <= 1).all()):
        raise UsageError(
            f"a location reaches {location.abs().max().item():g}, outside [-1, 1]",
            where="attention 'glimpse'",
            remedy="(x, y) in [-1, 1], the image's edges",
        )


def check_size(image: Tensor, channels: int, side: int) -> None:
    """Refuse images of other channels, or smaller than the finest patch."""
    check_shape("glimpse", "image", image, ("B", channels, "H", "W"))
    if min(image.shape[2:]) < side:
        raise UsageError(
            f"an image of {image.shape[2]}x{image.shape[3]} pixels is smaller than a glimpse",
            where="attention 'glimpse'",
            remedy=f"images of at least {side}x{side}, or a smaller patch_size",
        )


def gather_grid(image: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """image (B, C, H, W) at rows (..., B, N) x columns (..., B, N) -> (..., B, C, N, N)."""
    lead, channels, count = row.shape[:-1], image.shape[1], row.shape[-1]
    index = (row * image.shape[-1])[..., :, None] + column[..., None, :]
    index = index.flatten(-2)[..., None, :].expand(*lead, channels, count**2)
    flat = image.flatten(2)
    pixels = flat.expand(*lead, channels, flat.shape[-1]).gather(-1, index)
    return pixels.view(*lead, channels, count, count)


def patch_sides(patch_size: int, num_patches: int, scale: float) -> tuple[int, ...]:
    """Sides of the patches of one glimpse in pixels: each is int(the one before * scale)."""
    sides = [patch_size]
    while len(sides) < num_patches and sides[-1] <= LARGEST_SIDE:
        sides.append(int(sides[-1] * scale))
    return tuple(sides)


def extract_glimpse(
    image: Tensor, location: Tensor, sides: tuple[int, ...], integral: Tensor | None = None
) -> Tensor:
    """The retina rho(x, l): concentric patches, all reduced to the size of the first.

    Wider patches are average-pooled (the paper resizes and does not say how).

    Args:
        image: (B, C, H, W). location: (..., B, 2) as (x, y) in [-1, 1].
        sides: of the patches, in pixels; see `patch_sides`.
        integral: what `integral_image` made of this image; the result is the same but for rounding.

    Returns:
        (..., B, len(sides) * C * sides[0]^2), scale-major, then channel, row, column.
        No gradient reaches `location`: the crop is an integer index.
    """
    centre = locate(location, (image.shape[-2], image.shape[-1]))
    patches: list[Tensor] = []
    for side in sides:
        if side == sides[0]:
            patch = crop_patches(image, centre, side)
        elif integral is not None:
            patch = average_patches(integral, centre, side, sides[0]).to(image.dtype)
        else:
            patch = crop_patches(image, centre, side)
            pooled = _average(patch.flatten(0, -4), sides[0])
            patch = pooled.unflatten(0, patch.shape[:-3])
        patches.append(patch.flatten(-3))
    return torch.cat(patches, -1) if len(patches) > 1 else patches[0]


def _average(patch: Tensor, side: int) -> Tensor:
    """Average-pool to `side`; where that does not divide, with windows of unequal width."""
    window, rest = divmod(patch.shape[-1], side)
    return F.adaptive_avg_pool2d(patch, side) if rest else F.avg_pool2d(patch, window)


def integral_image(image: Tensor, sides: tuple[int, ...], glimpses: int) -> Tensor | None:
    """Sums of each image over all rows above and columns left of each pixel, itself included.

    With it any average costs four reads, whatever its window: made once for an image, it replaces
    the crops of all wider patches of all `glimpses`. None where the crops are cheaper, and off the
    CPU, where this was not measured and a running sum is not deterministic.

    Returns:
        float64 (B, C, H, W), since float32 would lose the digits that a difference needs.
    """
    cropped = glimpses * sum(side**2 for side in sides if side != sides[0])
    if image.device.type != "cpu" or cropped < PIXELS_CROPPED * image.shape[-2] * image.shape[-1]:
        return None
    return image.cumsum(-1, dtype=torch.float64).cumsum(-2)


def average_patches(integral: Tensor, centre: Tensor, side: int, size: int) -> Tensor:
    """The patch of `crop_patches`, averaged to `size` x `size`, from `integral_image`.

    Windows are those of adaptive pooling: floor(i side/size) to ceil((i + 1) side/size).

    Args:
        integral: (B, C, H, W). centre: int64 (..., B, 2) as (x, y).

    Returns:
        float64 (..., B, C, size, size).
    """
    first = [i * side // size for i in range(size)]
    last = [-(-(i + 1) * side // size) for i in range(size)]
    edges = sorted({*first, *last})
    area = torch.tensor([b - a for a, b in zip(first, last, strict=True)], device=integral.device)
    corners = _sums_before(
        integral, centre, torch.tensor(edges, device=integral.device) - side // 2
    )
    below, above = ([edges.index(edge) for edge in ends] for ends in (first, last))
    strips = corners[..., above, :] - corners[..., below, :]
    return (strips[..., above] - strips[..., below]) / (area[:, None] * area)


def _sums_before(integral: Tensor, centre: Tensor, offsets: Tensor) -> Tensor:
    """Sum over all pixels above and left of each pair of (y, x) edges: (..., B, C, N, N)."""
    height, width = integral.shape[-2:]
    x, y = centre[..., :1] + offsets, centre[..., 1:] + offsets
    column, row = (x - 1).clamp(0, width - 1), (y - 1).clamp(0, height - 1)
    found = gather_grid(integral, row, column)
    return found * (y > 0)[..., None, :, None] * (x > 0)[..., None, None, :]
