"""The stacked hourglass network (arXiv 1603.06937, section 3.2 and figure 4).

    x_1 = pre(image)                                  H/4 x W/4
    f_i = features_i(hourglass_i(x_i)),   p_i = outs_i(f_i)
    x_{i+1} = x_i + merge_preds_i(p_i) + merge_features_i(f_i)

Every stack gives heat maps p_i, and all are trained (intermediate supervision). All convolutions
have biases, and there is no norm on the sums.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk import Count, PositiveInt, refuse
from zoo.sdk.inputs import check_shape
from zoo_plugins.mechanisms.trunk.hourglass import NAME, Hourglass, Residual


class StackedHourglass(nn.Module):
    """(B, 3, H, W) -> heat maps (B, stacks, K, H/4, W/4).

    Args:
        num_stacks: hourglasses in a row.
        dim: channels of the maps, 256.
        num_classes: K, 16: the joints.
        increase, depth: of each hourglass; 0 and 4.
        in_chans: of the image.
    """

    def __init__(
        self,
        num_stacks: PositiveInt = 2,
        dim: PositiveInt = 256,
        num_classes: PositiveInt = 16,
        increase: Count = 0,
        depth: PositiveInt = 4,
        in_chans: PositiveInt = 3,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        stacks = range(num_stacks)
        self.in_chans, self.num_features = in_chans, dim
        self.head_hidden_size = self.num_features
        self.pre = nn.Sequential(
            _conv(in_chans, 64, 7, 2, **dd),
            Residual(64, 128, **dd),
            nn.MaxPool2d(2),
            Residual(128, 128, **dd),
            Residual(128, dim, **dd),
        )
        self.hgs = nn.ModuleList(
            Hourglass(dim, depth=depth, increase=increase, **dd) for _ in stacks
        )
        self.features = nn.ModuleList(
            nn.Sequential(Residual(dim, dim, **dd), _conv(dim, dim, 1, **dd)) for _ in stacks
        )
        self.merge_features = nn.ModuleList(nn.Conv2d(dim, dim, 1, **dd) for _ in stacks[1:])
        last = f"features.{len(self.features) - 1}"
        self.feature_info = [{"num_chs": dim, "reduction": 4, "module": last}]
        self.reset_classifier(num_classes)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """New layers for other joints: those that give heat maps, and those that take them up."""
        if global_pool:
            refuse(NAME, f"global_pool={global_pool!r}: heat maps are not pooled")
        if num_classes < 1:
            refuse(NAME, f"num_classes={num_classes} leaves no heat map")
        self.num_classes = num_classes
        like = next(self.pre.parameters())
        dd: Any = {"device": like.device, "dtype": like.dtype}
        dim, stacks = self.num_features, range(len(self.hgs))
        self.outs = nn.ModuleList(nn.Conv2d(dim, num_classes, 1, **dd) for _ in stacks)
        self.merge_preds = nn.ModuleList(nn.Conv2d(num_classes, dim, 1, **dd) for _ in stacks[1:])
        self.train(self.training)

    def get_classifier(self) -> nn.Module:
        """The layers that give the heat maps, one a stack."""
        return self.outs

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack(self._run(x)[1], 1)

    def forward_features(self, x: Tensor) -> Tensor:
        """The features of the last stack, (B, dim, H/4, W/4)."""
        return self._run(x)[0]

    def _run(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        check_shape(NAME, "x", x, ("B", self.in_chans, "H", "W"))
        x = features = self.pre(x)
        maps: list[Tensor] = []
        for i, (hourglass, refine, out) in enumerate(
            zip(self.hgs, self.features, self.outs, strict=True)
        ):
            features = refine(hourglass(x))
            maps.append(out(features))
            if i + 1 < len(self.hgs):
                x = x + self.merge_preds[i](maps[-1]) + self.merge_features[i](features)
        return features, maps


def _conv(
    channels: int, out_channels: int, kernel_size: int, stride: int = 1, **dd: Any
) -> nn.Sequential:
    conv = nn.Conv2d(channels, out_channels, kernel_size, stride, (kernel_size - 1) // 2, **dd)
    norm = nn.BatchNorm2d(out_channels, **dd)
    return nn.Sequential(OrderedDict(conv=conv, bn=norm, relu=nn.ReLU()))
