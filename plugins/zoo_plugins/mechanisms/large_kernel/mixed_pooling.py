"""The mixed pooling module (Hou, Zhang, Cheng, Feng, CVPR 2020, arXiv 2003.13328, section 3.3).

    a = CBR(x), b = CBR(x)                                        1x1, (B, C', H, W), C' = C/4
    f = CBR(relu(CB(a) + up(CB(pool_n(a))) + up(CB(pool_m(a)))))          3x3 each
    g = CBR(relu(up(CB_(1,3)(mean_h(b))) + up(CB_(3,1)(mean_w(b)))))      CBR 3x3
    y = relu(x + CB([f; g]))                                      1x1, 2C' to C

x, y: (B, C, H, W). CB: convolution without bias and batch norm, CBR: with a ReLU. pool_n averages
into n x n cells, which may be more than the map has; `up` is bilinear with aligned corners, back to
H x W. The authors call the class StripPooling; parameter names are theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import refuse

NAME = "strip_pooling"
REMEDY = 'create_model(..., insertion="residual")'


class MixedPooling(nn.Module):
    """(B, C, H, W) -> the same shape: x refined by square and by strip poolings, then a ReLU."""

    def __init__(
        self, channels: int, width: int, kernel_size: int, pool_sizes: Sequence[int], **dd: Any
    ) -> None:
        super().__init__()
        if len(pool_sizes) != 2:
            refuse(NAME, f"pool_sizes={pool_sizes!r} does not name two poolings")
        self.pool_sizes = (pool_sizes[0], pool_sizes[1])
        square = (kernel_size, kernel_size)
        self.conv1_1 = _conv_norm(channels, width, (1, 1), dd, nn.ReLU(inplace=True))
        self.conv1_2 = _conv_norm(channels, width, (1, 1), dd, nn.ReLU(inplace=True))
        self.conv2_0 = _conv_norm(width, width, square, dd)
        self.conv2_1 = _conv_norm(width, width, square, dd)
        self.conv2_2 = _conv_norm(width, width, square, dd)
        self.conv2_3 = _conv_norm(width, width, (1, kernel_size), dd)
        self.conv2_4 = _conv_norm(width, width, (kernel_size, 1), dd)
        self.conv2_5 = _conv_norm(width, width, square, dd, nn.ReLU(inplace=True))
        self.conv2_6 = _conv_norm(width, width, square, dd, nn.ReLU(inplace=True))
        self.conv3 = _conv_norm(2 * width, channels, (1, 1), dd)

    def forward(self, x: Tensor) -> Tensor:
        squares, strips = self._squares(self.conv1_1(x)), self._strips(self.conv1_2(x))
        return F.relu(x + self.conv3(torch.cat([squares, strips], 1)))

    def init_identity(self) -> float:
        """Refused: y is relu(x) at best, which is x only behind a ReLU."""
        refuse(NAME, "the mixed pooling module ends with a ReLU and cannot start as c x", REMEDY)

    def _squares(self, a: Tensor) -> Tensor:
        fine, coarse = (F.adaptive_avg_pool2d(a, size) for size in self.pool_sizes)
        fine, coarse = _up(self.conv2_1(fine), a), _up(self.conv2_2(coarse), a)
        return self.conv2_5(F.relu(self.conv2_0(a) + fine + coarse))

    def _strips(self, b: Tensor) -> Tensor:
        columns = self.conv2_3(b.mean(2, keepdim=True))  # (B, C', 1, W); interpolating 1 to H
        rows = self.conv2_4(b.mean(3, keepdim=True))  # repeats it, and so does the sum
        return self.conv2_6(F.relu(columns + rows))


def _up(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)


def _conv_norm(
    inputs: int, outputs: int, kernel: tuple[int, int], dd: Any, act: nn.Module | None = None
) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False, **dd)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs, **dd), *([act] if act else []))
