"""RFCAConv: coordinate attention on the features of windows (Zhang et al., arXiv 2304.03198).

    f = relu(BN(conv_kxk(x)))                                     (B, C_in k^2, H', W')
    h = hswish(BN(F1 [mean over columns; mean over rows]))        (B, C_r, k H' + k W')
    y = conv(f * sigmoid(F_h h_rows) * sigmoid(F_w h_columns))    (B, C, H', W')

x: (B, C_in, H, W). The rows and columns are those of the map k H' x k W' on which the windows are
laid out: row k i + m holds row m of the windows at row i. F1, F_h, F_w: 1x1 convolutions with
biases; C_r = max(8, C_in / r), r = 32.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo_plugins.mechanisms.large_kernel.receptive_parts import WindowConv, generator


class ReceptiveCoordinate(nn.Module):
    """(B, C_in, H, W) -> (B, C, H', W')."""

    def __init__(
        self,
        inputs: int,
        channels: int,
        kernel_size: int,
        stride: int,
        width: int,
        norm_act: bool,
        dd: Any,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.generate = generator(inputs, kernel_size, stride, 1, dd)
        self.conv1 = nn.Conv2d(inputs, width, 1, **dd)
        self.bn1 = nn.BatchNorm2d(width, **dd)
        self.conv_h = nn.Conv2d(width, inputs, 1, **dd)
        self.conv_w = nn.Conv2d(width, inputs, 1, **dd)
        self.conv = WindowConv(inputs, channels, kernel_size, norm_act, dd)

    def forward(self, x: Tensor) -> Tensor:
        large = F.pixel_shuffle(self.generate(x), self.kernel_size)  # (B, C_in, k H', k W')
        rows, columns = large.mean(3, keepdim=True), large.mean(2, keepdim=True)
        hidden = torch.cat([rows, columns.transpose(2, 3)], 2)
        hidden = F.hardswish(self.bn1(self.conv1(hidden)))
        rows, columns = hidden.split([large.shape[2], large.shape[3]], 2)
        gated = large * torch.sigmoid(self.conv_h(rows))
        gated = gated * torch.sigmoid(self.conv_w(columns.transpose(2, 3)))
        return self.conv(F.pixel_unshuffle(gated, self.kernel_size))
