"""ResNet for small images (He et al., CVPR 2016, arXiv 1512.03385, section 4.2).

A 3x3 convolution of stride 1 and no pooling as the stem, then stages of basic blocks. The paper's
has three stages of 16, 32 and 64 channels and depth 6n + 2; with four `widths` it is the ImageNet
network of that depth behind a small stem. Shortcuts are 1x1 projections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import nn

from zoo.errors import OptionError
from zoo.sdk import PositiveInt
from zoo_plugins.networks.convnets.caffe import layers_of


def cifar_resnet(
    depth: PositiveInt = 20,
    widths: Sequence[PositiveInt] = (16, 32, 64),
    in_chans: PositiveInt = 3,
    device: Any = None,
    dtype: Any = None,
    **options: Any,
) -> ResNet:
    """Build the network.

    Args:
        depth: 6n + 2 with three widths; 18, 34, 50, 101 or 152 with four.
        widths: channels of the stages.
        in_chans: of the image.
        **options: of `timm.models.ResNet`.
    """
    layers, basic = layers_of(depth) if len(widths) == 4 else _layers(depth, len(widths))
    block: Any = BasicBlock if basic else Bottleneck
    dd: Any = {"device": device, "dtype": dtype}
    model = ResNet(
        block,
        layers,
        in_chans=in_chans,
        channels=tuple(widths),  # pyright: ignore[reportArgumentType]
        stem_type="deep",
        stem_width=widths[0] // 2,  # the stem is replaced, but must have the first stage's width
        **dd,
        **options,
    )
    replace_stem(model, nn.Conv2d(in_chans, widths[0], 3, padding=1, bias=False, **dd))
    return model


def replace_stem(model: ResNet, stem: nn.Module) -> None:
    """Put a layer that keeps the image's size in the place of `conv1`, and pool no more."""
    if isinstance(stem, nn.Conv2d):
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    model.conv1, model.maxpool = stem, nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    info: list[dict[str, Any]] = model.feature_info
    info[0]["num_chs"] = model.bn1.num_features  # pyright: ignore[reportArgumentType]
    for stage in info:
        stage["reduction"] = max(1, stage["reduction"] // 4)
    if not hasattr(model, "layer4"):  # timm's forward runs four stages
        model.layer4 = nn.Sequential()
        info.append({**info[-1], "module": "layer4"})


def _layers(depth: int, stages: int) -> tuple[tuple[int, ...], bool]:
    per_stage, rest = divmod(depth - 2, 2 * stages)
    if rest or per_stage < 1:
        raise OptionError(f"depth={depth!r} is not {2 * stages}n + 2")
    return (per_stage,) * stages, True
