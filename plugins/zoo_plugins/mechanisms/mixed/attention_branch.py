"""Attention branch (Fukui, Hirakawa, Yamashita, Fujiyoshi, CVPR 2019, arXiv 1812.10025, section 3).

    h = relu(BN(conv1x1(BN(last residual stage(x)))))            (B, K, H, W), K classes
    attention = sigmoid(BN(conv3x3(h)))                          (B, 1, H, W)
    logits = mean_hw(conv1x1(h))                                 (B, K), for a loss of their own
    y = x * attention + x

x, y: (B, C, H, W). The residual stage is a copy of the backbone's last one, at stride 1. `forward`
gives y; `attend(x)` gives y, the attention and the logits, whose cross-entropy is added to the
network's own with equal weight. The paper's text is said to merge the K maps by a 1x1 convolution;
the authors' code, followed here, has 3x3. Parameter names are the authors'.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveInt, check_divisible, zero_
from zoo.sdk.take_part import take_part

Block = Literal["basic", "bottleneck"]
BLOCKS: dict[Block, Any] = {"basic": BasicBlock, "bottleneck": Bottleneck}


class AttentionBranch(nn.Module):
    """(B, C, H, W) -> the same shape, scaled by an attention that also classifies.

    Args:
        channels: C.
        attention_channels: of the residual stage, by default C (the authors: 2C).
        num_classes: K, 1000.
        num_blocks: of the stage, 1 (the authors: as many as the backbone's last stage has).
        block: `basic` or `bottleneck`.
        kernel_size: of the convolution to one plane, odd, 3.
        residual: y = x + x * attention; else x * attention.
    """

    def __init__(
        self,
        channels: int,
        *,
        attention_channels: PositiveInt | None = None,
        num_classes: PositiveInt = 1000,
        num_blocks: PositiveInt = 1,
        block: Block = "basic",
        kernel_size: OddInt = 3,
        residual: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        width = channels if attention_channels is None else attention_channels
        self.residual = residual
        dd: Any = {"device": device, "dtype": dtype}
        self.att_layer4 = _stage(channels, width, block, num_blocks, dd)
        self.bn_att = nn.BatchNorm2d(width, **dd)
        self.att_conv = nn.Conv2d(width, num_classes, 1, bias=False, **dd)
        self.bn_att2 = nn.BatchNorm2d(num_classes, **dd)
        self.att_conv2 = nn.Conv2d(num_classes, num_classes, 1, bias=False, **dd)
        self.att_conv3 = nn.Conv2d(
            num_classes, 1, kernel_size, padding=kernel_size // 2, bias=False, **dd
        )
        self.bn_att3 = nn.BatchNorm2d(1, **dd)

    def forward(self, x: Tensor) -> Tensor:
        attention = self._attention(self._class_maps(x))
        if self.training:
            attention = take_part(attention, [self.att_conv2.weight])  # which has a loss of its own
        return self._refine(x, attention)

    def attend(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """y (B, C, H, W), attention (B, 1, H, W), logits (B, K)."""
        maps = self._class_maps(x)
        attention = self._attention(maps)
        logits = self.att_conv2(maps.mean((2, 3), keepdim=True)).flatten(1)
        return self._refine(x, attention), attention, logits

    def _class_maps(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn_att2(self.att_conv(self.bn_att(self.att_layer4(x)))))

    def _attention(self, maps: Tensor) -> Tensor:
        return torch.sigmoid(self.bn_att3(self.att_conv3(maps)))

    def _refine(self, x: Tensor, attention: Tensor) -> Tensor:
        return torch.addcmul(x, x, attention) if self.residual else x * attention

    def init_identity(self) -> float:
        """Start as 1.5 x (not residual: 0.5 x) by the last norm's scale and shift at zero."""
        zero_(self.bn_att3)
        return 1.5 if self.residual else 0.5


def _stage(channels: int, width: int, block: Block, num_blocks: int, dd: Any) -> nn.Sequential:
    make = BLOCKS[block]
    expansion = make.expansion
    check_divisible("attention_branch", "attention_channels", width, "the expansion", expansion)
    down = None
    if channels != width:
        conv = nn.Conv2d(channels, width, 1, bias=False, **dd)
        down = nn.Sequential(conv, nn.BatchNorm2d(width, **dd))
    planes = width // expansion
    blocks = [make(channels, planes, downsample=down, **dd)]
    blocks += [make(width, planes, **dd) for _ in range(1, num_blocks)]
    return nn.Sequential(*blocks)


def reference_call(module: AttentionBranch, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a reference case records: the output, the attention and the logits."""
    return module.attend(x)
