"""Reverse attention for salient object detection (Chen et al., ECCV 2018, arXiv 1807.09940).

    a = 1 - sigmoid(coarse)                               where no object has been found yet
    eccv2018:  y = coarse + conv(relu(conv(relu(conv(W (a * x))))))
    tip2020:   y = coarse + conv(relu(conv(relu(conv(relu(conv(a * (W x))))))))

x: (B, C, H, W), a side output of the backbone; coarse, y: (B, 1, H, W), logits of the deeper stage,
already at x's size, and of this one. W: 1x1, C -> 64; the others 3x3, the last to one plane.
`tip2020` is the journal version (TIP 2020, DOI 10.1109/TIP.2020.2965989): the attention comes after
W, and there is one more convolution. The deepest stage of the network has no attention.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveInt
from zoo.sdk.inputs import check_shape

NAME = "reverse_saliency"
HIDDEN_CONVS = {"eccv2018": 2, "tip2020": 3}  # 3x3 convolutions with a ReLU, by variant


class ReverseSaliency(nn.Module):
    """(x, coarse logits) -> finer logits: (B, C, H, W), (B, 1, H, W) -> (B, 1, H, W).

    Args:
        channels: C.
        hidden_channels: of the convolutions, 64.
        variant: `eccv2018` (the conference paper) or `tip2020` (the journal's version).
    """

    def __init__(
        self,
        channels: int,
        *,
        hidden_channels: PositiveInt = 64,
        variant: Literal["eccv2018", "tip2020"] = "eccv2018",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.channels = channels
        hidden = hidden_channels
        self.variant = variant
        dd: Any = {"device": device, "dtype": dtype}
        self.convert = nn.Conv2d(channels, hidden, 1, **dd)
        layers: list[nn.Module] = []
        for _ in range(HIDDEN_CONVS[variant]):
            layers += [nn.Conv2d(hidden, hidden, 3, padding=1, **dd), nn.ReLU(inplace=True)]
        self.convs = nn.Sequential(*layers, nn.Conv2d(hidden, 1, 3, padding=1, **dd))

    def forward(self, x: Tensor, coarse: Tensor) -> Tensor:
        check_shape(NAME, "x", x, ("B", self.channels, "H", "W"))
        check_shape(NAME, "coarse", coarse, (x.shape[0], 1, *x.shape[2:]))
        attention = self.attention(coarse)
        if self.variant == "eccv2018":
            x = self.convert(x * attention)
        else:
            x = self.convert(x) * attention
        return coarse + self.convs(x)

    def attention(self, coarse: Tensor) -> Tensor:
        """1 - sigmoid(coarse), (B, 1, H, W)."""
        return torch.sigmoid(-coarse)


def reference_call(module: ReverseSaliency, x: Tensor, coarse: Tensor) -> dict[str, Tensor]:
    """What a reference case records: the finer logits and the attention."""
    return {"y": module(x, coarse), "attention": module.attention(coarse)}


def example(channels: int, batch: int, generator: torch.Generator) -> tuple[dict[str, Any], Any]:
    """A side output and the deeper stage's logits, for the conformance kit."""
    x = torch.randn(batch, channels, 8, 8, generator=generator)
    return {}, (x, torch.randn(batch, 1, 8, 8, generator=generator))
