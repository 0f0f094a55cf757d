"""ResNet as in Caffe: the form in which SENet was published (hujie-frank/SENet, prototxt).

It differs from timm's (torchvision's) ResNet twice: a bottleneck has its stride in the first 1x1
convolution, and the stem's max pooling has no padding and rounds its size up. Parameters and their
names are the same. SE-ResNeXt of the same authors strides in the 3x3 convolution.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import nn

from zoo.errors import OptionError
from zoo.sdk import PositiveInt

Layers: TypeAlias = tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt]  # blocks of stages
Depth: TypeAlias = Literal[18, 34, 50, 101, 152]
LAYERS: dict[int, tuple[int, int, int, int]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


class CaffeBottleneck(Bottleneck):
    """timm's bottleneck with the stride in `conv1`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conv1.stride, self.conv2.stride = self.conv2.stride, self.conv1.stride


def caffe_resnet(
    depth: Depth = 50,
    groups: PositiveInt = 1,
    base_width: PositiveInt = 64,
    stride_in: Literal["conv1", "conv2"] = "conv1",
    **options: Any,
) -> ResNet:
    """Build the network.

    Args:
        depth: 18, 34, 50, 101 or 152.
        groups, base_width: 32 and 4 for a ResNeXt 32x4d.
        stride_in: `conv1` (ResNet) or `conv2` (ResNeXt), the strided convolution of a bottleneck.
        **options: of `timm.models.ResNet`.
    """
    layers, basic = layers_of(depth)
    bottleneck = CaffeBottleneck if stride_in == "conv1" else Bottleneck
    block = BasicBlock if basic else bottleneck
    model = ResNet(block, layers, cardinality=groups, base_width=base_width, **options)  # pyright: ignore[reportArgumentType]
    model.maxpool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    return model


def senet(layers: Layers = (3, 8, 36, 3), **options: Any) -> ResNet:
    """Build SENet-154, the network of the paper's submission to ILSVRC 2017 (section 6 and A).

    A ResNeXt 64x4d whose stem has three 3x3 convolutions, whose downsampling ones are 3x3, and
    whose first 1x1 convolutions have half as many channels; SE with reduction 16 in each block.

    Args:
        layers: blocks of the four stages.
        **options: of `timm.models.ResNet`.
    """
    block: Any = Bottleneck
    model = ResNet(
        block, layers, cardinality=64, base_width=4, stem_type="deep", down_kernel_size=3,
        block_reduce_first=2, block_args={"attn_layer": "se"}, **options,
    )  # fmt: skip
    model.maxpool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    return model


def layers_of(depth: int) -> tuple[tuple[int, ...], bool]:
    """Blocks of each stage, and whether they are basic blocks."""
    if depth not in LAYERS:
        raise OptionError(f"depth={depth!r} is none of {', '.join(map(str, LAYERS))}")
    return LAYERS[depth], depth < 50
