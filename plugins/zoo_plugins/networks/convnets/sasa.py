"""ResNets whose 3x3 convolutions are stand-alone self-attention (arXiv 1906.05909).

The networks of the port leaderj1001/Stand-Alone-Self-Attention, for 32x32 images: a stem without
pooling, attention over 7x7 windows for one channel at a time (`variant="leaderj1001"`), and a
stride as average pooling after a block's last norm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from timm.models.resnet import Bottleneck, ResNet
from torch import Tensor, nn

from zoo.sdk import PositiveInt
from zoo.weights.keymaps import rename
from zoo_plugins.mechanisms.self_attention.stand_alone import Variant, stand_alone
from zoo_plugins.networks.convnets.caffe import Layers
from zoo_plugins.networks.convnets.cifar import replace_stem
from zoo_plugins.networks.convnets.configs import SASA_KEYS


class StandAloneBottleneck(Bottleneck):
    """timm's bottleneck with attention as `conv2`, and pooling where that has a stride."""

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        kernel_size: int = 7,
        num_heads: int = 8,
        variant: Variant = "leaderj1001",
        **options: Any,
    ) -> None:
        super().__init__(inplanes, planes, 1, downsample, **options)
        dd: Any = {key: options.get(key) for key in ("device", "dtype")}
        self.conv2: nn.Module = stand_alone(
            planes, kernel_size=kernel_size, num_heads=num_heads, variant=variant, **dd
        )
        self.pool = nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.act2(self.bn2(self.conv2(x)))
        x = self.pool(self.bn3(self.conv3(x)))
        if self.se is not None:
            x = self.se(x)
        return self.act3(x + shortcut)


def sasa_resnet(
    layers: Layers = (1, 2, 4, 1),
    stem: Literal["conv", "attention"] = "conv",
    kernel_size: PositiveInt = 7,
    groups: PositiveInt = 8,
    form: Variant = "leaderj1001",
    in_chans: PositiveInt = 3,
    device: Any = None,
    dtype: Any = None,
    **options: Any,
) -> ResNet:
    """Build the network.

    Args:
        layers: blocks of each of the four stages.
        stem: `conv`, 3x3, or `attention`, the port's over 4x4 windows.
        kernel_size, groups: of `stand_alone`; groups are heads.
        form: its variant (`variant=` of the model).
        in_chans: of the image.
        **options: `num_classes`, `global_pool` or `drop_rate` of `timm.models.ResNet`.
    """
    dd: Any = {"device": device, "dtype": dtype}
    block_args = {"kernel_size": kernel_size, "num_heads": groups, "variant": form}
    model = ResNet(
        StandAloneBottleneck,  # pyright: ignore[reportArgumentType]
        layers,
        in_chans=in_chans,
        block_args=block_args,
        **options,
        **dd,
    )
    replace_stem(model, _stem(stem, in_chans, dd))
    return model


def _stem(stem: str, in_chans: int, dd: Any) -> nn.Module:
    if stem == "conv":
        return nn.Conv2d(in_chans, 64, 3, padding=1, bias=False, **dd)
    return stand_alone(
        64,
        in_channels=in_chans,
        kernel_size=4,
        num_heads=1,
        variant="leaderj1001-stem",
        **dd,
    )


def from_authors(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The port's state dict under our names; its position tables have axes of length one."""
    own = module.state_dict()
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = rename(SASA_KEYS, key, "convnets")
        table = name.rpartition(".")[2] in ("rel_h", "rel_w") and name in own
        fits = table and own[name].numel() == tensor.numel()
        found[name] = tensor.reshape(own[name].shape) if fits else tensor
    return found
