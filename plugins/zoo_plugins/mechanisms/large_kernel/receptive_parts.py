"""What the receptive-field convolutions share: features of each window, and their last convolution.

A window is the k x k positions under a kernel. Its features are (B, C k^2, H', W'), the channel
before the position in the window. The authors lay them out as a map of k H' x k W' and convolve
that with a k x k kernel and stride k; a 1x1 convolution of the features as they are is the same.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def generator(
    channels: int, kernel_size: int, stride: int, dilation: int, dd: Any
) -> nn.Sequential:
    """x to the features of its windows: a convolution of each channel to k^2, BN and ReLU."""
    taps = channels * kernel_size**2
    conv = nn.Conv2d(
        channels, taps, kernel_size, stride=stride, padding=dilation * (kernel_size // 2),
        dilation=dilation, groups=channels, bias=False, **dd,
    )  # fmt: skip
    return nn.Sequential(conv, nn.BatchNorm2d(taps, **dd), nn.ReLU(inplace=True))


class WindowConv(nn.Sequential):
    """Features of windows (B, C k^2, H', W') to (B, C', H', W'), with BN and ReLU if asked for."""

    def __init__(
        self, in_channels: int, channels: int, kernel_size: int, norm_act: bool, dd: Any
    ) -> None:
        conv = nn.Conv2d(in_channels, channels, kernel_size, stride=kernel_size, **dd)
        end = [nn.BatchNorm2d(channels, **dd), nn.ReLU(inplace=True)] if norm_act else []
        super().__init__(conv, *end)

    def forward(self, input: Tensor) -> Tensor:
        conv, *end = self.children()
        assert isinstance(conv, nn.Conv2d)
        y = F.conv2d(input, conv.weight.flatten(1)[:, :, None, None], conv.bias)
        for layer in end:
            y = layer(y)
        return y


def window_softmax(logits: Tensor, kernel_size: int) -> Tensor:
    """(B, C k^2, H', W'): of each channel, the softmax over the k^2 positions of a window."""
    return torch.softmax(logits.unflatten(1, (-1, kernel_size**2)), 2).flatten(1, 2)
