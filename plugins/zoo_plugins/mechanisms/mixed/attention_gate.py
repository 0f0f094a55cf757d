"""Attention gate of the Attention U-Net (Oktay et al., MIDL 2018, arXiv 1804.03999).

    q = psi . act(theta * x + up(phi g + b_g)) + b_psi      (B, 1, H/s, W/s), eq. 1
    a = up(sigmoid(q))                                      (B, 1, H, W), eq. 2
    y = BN(W (a x) + b)

x, y: (B, C, H, W), features of a skip connection; g: (B, C_g, H_g, W_g), the gating signal,
coarser and of its own width. theta: a convolution C -> C_i of kernel and stride s, without a bias;
phi: 1x1, C_g -> C_i; psi: 1x1, C_i -> 1; W: 1x1, C -> C; up: bilinear resizing; act: ReLU.

The projection W with its batch norm is in the authors' code, not in the paper's figure:
`projection=False`. Their resizing followed the PyTorch of the day, `align_corners=True` before 0.4,
False today. A last row or column that does not fill a window of s is not seen by theta.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveInt, Size
from zoo.sdk.inputs import check_shape

NAME = "attention_gate"


class AttentionGate(nn.Module):
    """(x, gating) -> the shape of x.

    Args:
        channels: C.
        gating_channels: C_g, by default C.
        inter_channels: C_i, by default C / 2.
        sub_sample: s, 2, or a pair for height and width.
        normalization: `sigmoid` of each position, or `softmax` over all of them.
        activation: `relu` or `softplus`.
        projection: whether W and its batch norm follow.
        align_corners: of the bilinear resizing, False.
    """

    def __init__(
        self,
        channels: int,
        *,
        gating_channels: PositiveInt | None = None,
        inter_channels: PositiveInt | None = None,
        sub_sample: Size = 2,
        normalization: Literal["sigmoid", "softmax"] = "sigmoid",
        activation: Literal["relu", "softplus"] = "relu",
        projection: bool = True,
        align_corners: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.channels, self.gating_channels = channels, gating_channels or channels
        self.normalization, self.align_corners = normalization, align_corners
        width = inter_channels or max(1, channels // 2)
        dd: Any = {"device": device, "dtype": dtype}
        self.theta = nn.Conv2d(channels, width, sub_sample, stride=sub_sample, bias=False, **dd)
        self.phi = nn.Conv2d(self.gating_channels, width, 1, **dd)
        self.act = nn.ReLU() if activation == "relu" else nn.Softplus()
        self.psi = nn.Conv2d(width, 1, 1, **dd)
        layers = (nn.Conv2d(channels, channels, 1, **dd), nn.BatchNorm2d(channels, **dd))
        self.project = nn.Sequential(*(layers if projection else ()))

    def forward(self, x: Tensor, gating: Tensor) -> Tensor:
        return self.attend(x, gating)[0]

    def attend(self, x: Tensor, gating: Tensor) -> tuple[Tensor, Tensor]:
        """The output and the attention a, (B, 1, H, W)."""
        check_shape(NAME, "x", x, ("B", self.channels, "H", "W"))
        check_shape(NAME, "gating", gating, (x.shape[0], self.gating_channels, "H", "W"))
        fine = self.theta(x)
        logits = self.psi(self.act(fine + self._resize(self.phi(gating), fine)))
        attention = self._resize(self._normalised(logits), x)
        return self.project(x * attention), attention

    def _normalised(self, logits: Tensor) -> Tensor:
        if self.normalization == "sigmoid":
            return torch.sigmoid(logits)
        return torch.softmax(logits.flatten(2), 2).unflatten(2, logits.shape[2:])

    def _resize(self, x: Tensor, like: Tensor) -> Tensor:
        size = like.shape[2:]
        return F.interpolate(x, size, mode="bilinear", align_corners=self.align_corners)


def reference_call(module: AttentionGate, x: Tensor, gating: Tensor) -> tuple[Tensor, Tensor]:
    """What a reference case records: the output and the attention."""
    return module.attend(x, gating)


def example(
    channels: int, batch: int, generator: torch.Generator
) -> tuple[dict[str, Any], tuple[Tensor, Tensor]]:
    """A map, and a coarser gating signal of another width."""
    x = torch.randn(batch, channels, 9, 8, generator=generator)
    gating = torch.randn(batch, 24, 4, 3, generator=generator)
    return {"gating_channels": 24}, (x, gating)
