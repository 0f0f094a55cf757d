"""Glimpse sensor and glimpse network of the Recurrent Attention Model.

Mnih, Heess, Graves, Kavukcuoglu, "Recurrent Models of Visual Attention", NIPS 2014
(arXiv 1406.6247), section 3.1 and appendix. The authors released no code; sizes and roundings
follow the best-known port (kevinzakka/recurrent-visual-attention, MIT).
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import AtLeast, PositiveInt, refuse
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
        glimpse_hidden, location_hidden: widths of the "what" and the "where" branch. Their sum,
            256 in the paper, is that of g (`out_dim`).

    What lies outside the image is zero, and wide patches are reduced by average pooling.

    Shape:
        image (B, C, H, W) and location (..., B, 2) -> g (..., B, out_dim).
    """

    def __init__(
        self,
        channels: PositiveInt = 1,
        *,
        patch_size: PositiveInt = 8,
        num_patches: PositiveInt = 1,
        scale: Annotated[float, AtLeast(1)] = 2,
        glimpse_hidden: PositiveInt = 128,
        location_hidden: PositiveInt = 128,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.channels, self.out_dim = channels, glimpse_hidden + location_hidden
        self.sides = patch_sides(patch_size, num_patches, scale)
        if self.sides[-1] > LARGEST_SIDE:
            refuse(
                "glimpse_sensor",
                f"patch_size={patch_size}, num_patches={num_patches}, scale={scale:g} make a patch "
                f"wider than {LARGEST_SIDE} pixels",
            )
        factory = {"device": device, "dtype": dtype}
        pixels = num_patches * channels * patch_size**2
        self.what_hidden = nn.Linear(pixels, glimpse_hidden, **factory)
        self.where_hidden = nn.Linear(2, location_hidden, **factory)
        self.what = nn.Linear(glimpse_hidden, self.out_dim, **factory)
        self.where = nn.Linear(location_hidden, self.out_dim, **factory)
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
