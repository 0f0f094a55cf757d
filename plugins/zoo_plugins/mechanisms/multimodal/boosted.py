"""Boosted attention, the stimulus-driven half (Chen, Zhao, ECCV 2018, arXiv 1904.00767).

    s = W_sal x                       saliency, (B, 1, H, W)
    y = (W x) * log(s + eps)          elementwise

x, y: (B, C, H, W), visual features after a ReLU; W, W_sal: 1x1 convolutions. In the paper W_sal is
trained beforehand to predict human fixations, and y goes to a caption decoder whose top-down
attention, driven by language, is the other half; neither is part of this.

The equation is the survey's quotation (arXiv 2204.07756, section 2.1.5). It leaves open, and here:
  - W and W_sal are 1x1, without bias; W_sal has one plane, shared by all channels;
  - s has no activation: with x >= 0 and W_sal >= 0 the logarithm is defined. Elsewhere its argument
    is kept at eps / 1000 at least, where the gradient to s is zero;
  - eps is 1, with which a position that is not salient at all gives zero.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, refuse

NAME = "boosted"


class Boosted(nn.Module):
    """(B, C, H, W) -> the same size, each position scaled by the logarithm of its saliency.

    Args:
        channels: C.
        out_channels: the channels of y, by default C.
        eps: is added to the saliency.
        bias: of both convolutions.
        saliency_channels: 1, or `out_channels` for a saliency of each channel.
    """

    def __init__(
        self,
        channels: PositiveInt,
        *,
        out_channels: PositiveInt | None = None,
        eps: PositiveFloat = 1.0,
        bias: bool = False,
        saliency_channels: PositiveInt = 1,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        out = channels if out_channels is None else out_channels
        if saliency_channels not in (1, out):
            refuse(NAME, f"saliency_channels={saliency_channels} is neither 1 nor {out}")
        self.eps = eps
        dd: Any = {"bias": bias, "device": device, "dtype": dtype}
        self.W = nn.Conv2d(channels, out, 1, **dd)
        self.W_sal = nn.Conv2d(channels, saliency_channels, 1, **dd)

    def forward(self, x: Tensor) -> Tensor:
        return self.boost(x, self.saliency(x))

    def saliency(self, x: Tensor) -> Tensor:
        """s, (B, 1, H, W)."""
        return self.W_sal(x)

    def boost(self, x: Tensor, saliency: Tensor) -> Tensor:
        """y of a saliency from wherever, as of recorded fixations."""
        return self.W(x) * (saliency + self.eps).clamp(min=self.eps / 1000).log()


def reference_call(module: Boosted, x: Tensor) -> tuple[Tensor, Tensor]:
    """What a reference case records: the output and the saliency."""
    saliency = module.saliency(x)
    return module.boost(x, saliency), saliency
