"""Axial-ResNet (Wang et al., ECCV 2020, arXiv 2003.07853, section 3.3), as in the authors' code.

A ResNet whose bottlenecks attend along both axes in place of the 3x3 convolution, and expand twice
instead of four times; `s` scales every width. Positions are embedded, so each network is for one
size of image. Weights are named as the authors'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timm.models.resnet import ResNet
from torch import nn

from zoo.sdk import Count, PositiveFloat, PositiveInt, Size, check_divisible, refuse
from zoo.sdk.map_size import as_pair
from zoo_plugins.mechanisms.self_attention.axial import EXPANSION, AxialBlock
from zoo_plugins.networks.convnets.caffe import Layers

WIDTHS = (128, 256, 512, 1024)


class AxialBottleneck(AxialBlock):
    """The authors' block as timm's `ResNet` builds it; `sides` is the map's side by `planes`."""

    expansion = EXPANSION

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int,
        downsample: nn.Module | None,
        *,
        sides: Mapping[int, int],
        cardinality: int,
        device: Any = None,
        dtype: Any = None,
        **_constants: Any,  # what `axial_resnet` leaves at timm's defaults
    ) -> None:
        side = sides[planes] * stride
        dd: Any = {"device": device, "dtype": dtype}
        super().__init__(inplanes, planes, (side, side), cardinality, None, stride, **dd)

    def zero_init_last(self) -> None:
        """Start the branch at zero, as timm and the authors do."""
        nn.init.zeros_(self.bn2.weight)


def axial_resnet(
    layers: Layers = (1, 2, 4, 1),
    s: PositiveFloat = 0.5,
    groups: PositiveInt = 8,
    img_size: Size = 224,
    in_chans: PositiveInt = 3,
    num_classes: Count = 1000,
    global_pool: str = "avg",
    drop_rate: float = 0.0,
    device: Any = None,
    dtype: Any = None,
) -> ResNet:
    """Build the network.

    Args:
        layers: blocks of each of the four stages.
        s: scale of the widths: 0.5 (small), 0.75 (medium) or 1 (large).
        groups: heads, 8.
        img_size: side of the square image, a multiple of 32.
        in_chans, num_classes, global_pool, drop_rate: of `timm.models.ResNet`.
    """
    dd: Any = {"device": device, "dtype": dtype}
    side, width = as_pair(img_size)
    if side != width:
        refuse("axial", f"img_size={img_size!r} is not one side, or two equal ones", "img_size=224")
    check_divisible("axial", "img_size", side, "the network's stride", 32)
    widths = tuple(int(width * s) for width in WIDTHS)
    for width in widths:
        check_divisible("axial", "s * width", width, "2 * groups", 2 * groups)
    stem = int(64 * s)
    check_divisible("axial", "64 * s", stem, "two", 2)
    model = ResNet(
        AxialBottleneck,  # pyright: ignore[reportArgumentType]
        layers,
        channels=widths,
        cardinality=groups,
        stem_type="deep",
        stem_width=stem // 2,  # the stem is replaced, but must have the right width
        block_args={"sides": {width: side >> i for i, width in enumerate(widths, 2)}},
        in_chans=in_chans,
        num_classes=num_classes,
        global_pool=global_pool,
        drop_rate=drop_rate,
        **dd,
    )
    model.conv1 = nn.Conv2d(in_chans, stem, 7, stride=2, padding=3, bias=False, **dd)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    return model
