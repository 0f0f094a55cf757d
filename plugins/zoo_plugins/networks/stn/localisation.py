"""Localisation networks: image or map -> parameters of the transform (arXiv 1506.02025, sec. 3.1).

Sizes as in the paper's appendix: three linear layers of 32 for fully connected networks; for
convolutional ones two 5 x 5 convolutions of 20 on the image halved, and a linear layer of 20.
What they give is added to the identity's parameters and starts at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn


class Localisation(nn.Module):
    """(B, C, H, W) -> (B, outputs), zero at first.

    Args:
        body: (B, C, H, W) -> (B, width).
        scale: what the last layer's output is multiplied by. With SGD a scale s slows this network
            by s^2: the paper's rate of a tenth on SVHN is s = 0.316.
    """

    def __init__(
        self, body: nn.Module, width: int, outputs: int, scale: float = 1.0, **dd: Any
    ) -> None:
        super().__init__()
        self.body, self.scale = body, scale
        self.last = nn.Linear(width, outputs, **dd)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start at the identity."""
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.last(self.body(x))


def linear_body(inputs: int, widths: Sequence[int], **dd: Any) -> nn.Sequential:
    """Linear layers with ReLU on the flattened map."""
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise((inputs, *widths)):
        layers += [nn.Linear(before, after, **dd), nn.ReLU()]
    return nn.Sequential(*layers)


def digit_body(in_chans: int, size: tuple[int, int], width: int = 20, **dd: Any) -> nn.Sequential:
    """Halve, conv 5 x 5, max pool, conv 5 x 5, linear; for images of 28 x 28 or more."""
    height, width_left = ((side // 2 - 4) // 2 - 4 for side in size)
    return nn.Sequential(
        nn.AvgPool2d(2),
        nn.Conv2d(in_chans, width, 5, **dd),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, width, 5, **dd),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(width * height * width_left, width, **dd),
        nn.ReLU(),
    )


def house_number_body(
    in_chans: int, size: tuple[int, int], width: int = 32, **dd: Any
) -> nn.Sequential:
    """conv 5 x 5, max pool, conv 5 x 5, two linear layers: that of the single transformer."""
    height, columns = (side // 2 for side in size)
    return nn.Sequential(
        nn.Conv2d(in_chans, width, 5, padding=2, **dd),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, width, 5, padding=2, **dd),
        nn.ReLU(),
        *linear_body(width * height * columns, (width, width), **dd),
    )
