"""ResNet as in Caffe: the form in which SENet was published (hujie-frank/SENet, prototxt).

It differs from timm's (torchvision's) ResNet twice: a bottleneck has its stride in the first 1x1
convolution, and the stem's max pooling has no padding and rounds its size up. Parameters and their
names are the same. SE-ResNeXt of the same authors strides in the 3x3 convolution.
"""

from __future__ import annotations

from typing import Any

from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import nn

from zoo.errors import OptionError

LAYERS = {
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
    depth: int = 50,
    groups: int = 1,
    base_width: int = 64,
    stride_in: str = "conv1",
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
    blocks = {"conv1": CaffeBottleneck, "conv2": Bottleneck}
    if stride_in not in blocks:
        raise OptionError(f"stride_in={stride_in!r} is neither 'conv1' nor 'conv2'")
    block = BasicBlock if basic else blocks[stride_in]
    model = ResNet(block, layers, cardinality=groups, base_width=base_width, **options)  # pyright: ignore[reportArgumentType]
    model.maxpool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    return model


def layers_of(depth: int) -> tuple[tuple[int, ...], bool]:
    """Blocks of each stage, and whether they are basic blocks."""
    if depth not in LAYERS:
        raise OptionError(f"depth={depth!r} is none of {', '.join(map(str, LAYERS))}")
    return LAYERS[depth], depth < 50
