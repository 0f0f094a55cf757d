"""ResNeSt (Zhang et al., arXiv 2004.08955): a ResNet-D whose 3x3 convolutions are split attention.

Built from timm's blocks, whose computation and parameter names are the authors'.
"""

from __future__ import annotations

from typing import Any, Literal

from timm.models.resnest import ResNestBottleneck
from timm.models.resnet import ResNet

from zoo.sdk import PositiveInt

LAYERS = {
    14: (1, 1, 1, 1),
    26: (2, 2, 2, 2),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    200: (3, 24, 36, 3),
    269: (3, 30, 48, 8),
}


def resnest(
    depth: Literal[14, 26, 50, 101, 200, 269] = 50,
    radix: PositiveInt = 2,
    groups: PositiveInt = 1,
    base_width: PositiveInt = 64,
    stem_width: PositiveInt | None = None,
    avg_down: bool = True,
    avd: bool = True,
    avd_first: bool = False,
    **options: Any,
) -> ResNet:
    """Build the network.

    Args:
        depth: 14, 26, 50, 101, 200 or 269.
        radix, groups, base_width: splits, cardinality and width of a block's convolution.
        stem_width: 32, or 64 from depth 101 on.
        avg_down: shortcuts are pooled, not strided.
        avd, avd_first: a block is strided by average pooling, after or before its convolution.
        **options: of `timm.models.ResNet`.
    """
    return ResNet(
        ResNestBottleneck,  # pyright: ignore[reportArgumentType]
        LAYERS[depth],
        stem_type="deep",
        stem_width=stem_width or (32 if depth < 101 else 64),
        avg_down=avg_down,
        cardinality=groups,
        base_width=base_width,
        block_args={"radix": radix, "avd": avd, "avd_first": avd_first},
        **options,
    )
