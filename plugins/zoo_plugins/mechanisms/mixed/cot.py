"""Contextual transformer block (Li, Yao, Pan, Mei, TPAMI 2022, arXiv 2107.12292, section 3.2).

    k = relu(BN(conv3x3(x)))                 static context, 4 groups
    w = GN(conv(relu(BN(conv [x; k]))))      C / 8 kernels of 3x3 for each position
    d_c(p) = silu(BN(sum_t w_(c mod C/8),t(p) v_c(p + t)))       dynamic context, v = BN(conv x)
    y = a * d + (1 - a) * k,   a = softmax of two logits from mean_hw(d + k), as in SK

x: (B, C_in, H, W), y: (B, C, H / stride, W / stride). It replaces the 3x3 convolution of a block,
with its norm and activation. As in the authors' code: no softmax over the nine taps, and channels
c, c + C/8, c + 2C/8, ... share a kernel. With a stride, x is average-pooled first, as in CoTNet.
Parameter names are the authors'.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveFloat, PositiveInt, bottleneck_width, check_divisible


class ContextualTransformer(nn.Module):
    """(B, C_in, H, W) -> (B, C, H / stride, W / stride).

    Args:
        channels: C, a multiple of 8.
        in_channels: C_in, by default C; if it is another number, a 1x1 convolution with norm comes
            first (the authors' blocks need none).
        kernel_size: of the key's and the dynamic convolution, odd, 3.
        stride, dilation: 1.
        key_groups: of the key's convolution, 4.
        share_planes: channels that share a dynamic kernel, 8.
        factor: C over the hidden width of the kernels' branch, 2.
        reduction: 2C over the hidden width of the fusion, 4; at least 32 channels.
        reduced_channels: that width itself.
    """

    def __init__(
        self,
        channels: int,
        *,
        in_channels: PositiveInt | None = None,
        kernel_size: OddInt = 3,
        stride: PositiveInt = 1,
        dilation: PositiveInt = 1,
        key_groups: PositiveInt = 4,
        share_planes: PositiveInt = 8,
        factor: PositiveInt = 2,
        reduction: PositiveFloat = 4,
        reduced_channels: PositiveInt | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        divisors = {"share_planes": share_planes, "key_groups": key_groups, "factor": factor}
        for name, divisor in divisors.items():
            check_divisible("cot", "channels", channels, name, divisor)
        self.kernel_size, self.dilation, self.share_planes = kernel_size, dilation, share_planes
        dd: Any = {"device": device, "dtype": dtype}
        self.avd = nn.AvgPool2d(3, stride, padding=1) if stride > 1 else nn.Identity()
        inputs = in_channels or channels
        self.proj = _conv_norm(inputs, channels, dd) if inputs != channels else nn.Identity()
        self.key_embed = _conv_norm(
            channels, channels, dd, nn.ReLU(inplace=True),
            kernel_size=kernel_size, padding=self.reach, dilation=dilation, groups=key_groups,
        )  # fmt: skip
        kernels = channels // share_planes
        taps = kernel_size**2 * kernels
        self.embed = _conv_norm(2 * channels, channels // factor, dd, nn.ReLU(inplace=True))
        self.embed.append(nn.Conv2d(channels // factor, taps, 1, **dd))
        self.embed.append(nn.GroupNorm(kernels, taps, **dd))
        self.conv1x1 = _conv_norm(channels, channels, dd)
        self.bn = nn.BatchNorm2d(channels, **dd)
        width = bottleneck_width(2 * channels, reduction, reduced_channels, minimum=32)
        self.se = nn.Sequential(
            nn.Conv2d(channels, width, 1, **dd),
            nn.BatchNorm2d(width, **dd),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 2 * channels, 1, **dd),
        )

    @property
    def reach(self) -> int:
        """Zeros around the map: half the kernel, dilated."""
        return self.dilation * (self.kernel_size // 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(self.avd(x))
        static = self.key_embed(x)
        kernels = self.embed(torch.cat([x, static], 1))
        dynamic = F.silu(self.bn(self._convolve(self.conv1x1(x), kernels)))
        pooled = dynamic.mean((2, 3), keepdim=True) + static.mean((2, 3), keepdim=True)
        logits = self.se(pooled).unflatten(1, (-1, 2))  # the softmax over two is a sigmoid
        return torch.lerp(static, dynamic, torch.sigmoid(logits[:, :, 0] - logits[:, :, 1]))

    def _convolve(self, x: Tensor, kernels: Tensor) -> Tensor:
        """Each position with its own kernels, one tap after the other: no unfolded copies of x."""
        _, channels, height, width = x.shape
        planes = channels // self.share_planes
        taps = kernels.unflatten(1, (planes, -1)).unbind(2)  # each (B, C / 8, H, W)
        x = F.pad(x, (self.reach, self.reach, self.reach, self.reach))
        x = x.unflatten(1, (self.share_planes, planes))
        out = torch.zeros((), device=x.device, dtype=x.dtype)
        for tap, weight in enumerate(taps):
            top = tap // self.kernel_size * self.dilation
            left = tap % self.kernel_size * self.dilation
            window = x[..., top : top + height, left : left + width]
            out = torch.addcmul(out, window, weight.unsqueeze(1))
        return out.flatten(1, 2)


def _conv_norm(
    inputs: int, outputs: int, dd: Any, act: nn.Module | None = None, **conv: int
) -> nn.Sequential:
    kernel = conv.pop("kernel_size", 1)
    layers = [nn.Conv2d(inputs, outputs, kernel, bias=False, **conv, **dd)]
    return nn.Sequential(*layers, nn.BatchNorm2d(outputs, **dd), *([act] if act else []))
