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

from zoo.sdk.options import agree, check_choice, check_int, check_number, refuse
from zoo_plugins.mechanisms.hard.retina import (
    LARGEST_SIDE,
    check_view,
    extract_glimpse,
    integral_image,
    patch_sides,
)


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

    def prepare(self, image: Tensor, glimpses: int) -> Tensor | None:
        """What makes `glimpses` looks at each image cheaper, if anything does."""
        return integral_image(image, self.sides, glimpses)

    def retina(self, image: Tensor, location: Tensor, integral: Tensor | None = None) -> Tensor:
        """rho(x, l), flat; see `extract_glimpse`."""
        return extract_glimpse(image, location, self.sides, integral)

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
