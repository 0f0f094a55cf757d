"""Attentional class feature (Zhang et al., ICCV 2019, arXiv 1909.09408; ACFNet).

    F = relu(BN(W_1 x))                                           (B, C', N), N = H W
    P = softmax_k(coarse)                                         (B, K, N)
    center_k = sum_p P_kp F_p / sum_p P_kp                        one vector for each class present
    y_p = W_2 sum_k P_kp center_k + b

x: (B, C, H, W), features; coarse: (B, K, H, W), the logits of a coarse segmentation; y: (B, C', H,
W), joined with the features in the paper's network, whose second segmentation is the result.

No code of the authors is known. Of the paper the abstract could be read ("class center" is "the
overall representation of each class in an image", and the module is "to calculate and adaptively
combine different class centers according to each pixel"); that the center is the mean weighted by
the probabilities is how it is remembered. W_1 and W_2 (1x1), their norm, the widths (2560 -> 512)
and the dropout are those of two unofficial implementations, `variant="port"`, which otherwise have

    center_k = softmax_c(max_c e_kc - e_kc),   e = coarse F^T,    y_p = W_2 sum_k coarse_kp center_k

softmax over the channels of what is left of the largest, as in DANet's channel attention, and
logits for probabilities: their centers say which channels a class does not excite.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import DropRate, PositiveInt
from zoo.sdk.inputs import check_shape

NAME = "acf"


class AttentionalClassFeature(nn.Module):
    """(features, coarse logits) -> (B, channels, H, W).

    Args:
        in_channels: C.
        channels: C'.
        num_classes: K, which the coarse logits are checked for if it is given.
        variant: how centers are made and combined, as above.
        bias: of W_2.
        drop_rate: of channels of F, in training.
    """

    def __init__(
        self,
        in_channels: PositiveInt,
        *,
        channels: PositiveInt = 512,
        num_classes: PositiveInt | None = None,
        variant: Literal["paper", "port"] = "paper",
        bias: bool = True,
        drop_rate: DropRate = 0.2,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.num_classes, self.variant = in_channels, num_classes, variant
        dd: Any = {"device": device, "dtype": dtype}
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False, **dd)
        self.norm = nn.BatchNorm2d(channels, **dd)
        self.drop = nn.Dropout2d(drop_rate)
        self.conv2 = nn.Conv2d(channels, channels, 1, bias=bias, **dd)

    def forward(self, x: Tensor, coarse: Tensor) -> Tensor:
        check_shape(NAME, "x", x, ("B", self.in_channels, "H", "W"))
        check_shape(NAME, "coarse", coarse, (x.shape[0], self.num_classes or "K", *x.shape[2:]))
        weights = self.weights(coarse)
        features = self.drop(F.relu(self.norm(self.conv1(x))))
        y = self.centers(features, weights).transpose(1, 2) @ weights
        return self.conv2(y.unflatten(2, x.shape[2:]))

    def weights(self, coarse: Tensor) -> Tensor:
        """P, (B, K, N); in the port, the logits."""
        coarse = coarse.flatten(2)
        return coarse if self.variant == "port" else coarse.softmax(1)

    def centers(self, features: Tensor, weights: Tensor) -> Tensor:
        """One for each class, (B, K, C')."""
        features = features.flatten(2).transpose(1, 2)
        if self.variant == "port":
            energy = weights @ features
            return torch.softmax(-energy, 2)  # the same: a softmax knows no shift
        total = weights.sum(2, keepdim=True)
        return (weights / total.clamp(min=torch.finfo(total.dtype).tiny)) @ features


def example(channels: int, batch: int, generator: torch.Generator) -> tuple[dict[str, Any], Any]:
    """Features and the logits of five classes."""
    shapes = ((channels, 6, 7), (5, 6, 7))
    return {"num_classes": 5}, tuple(torch.randn(batch, *s, generator=generator) for s in shapes)
