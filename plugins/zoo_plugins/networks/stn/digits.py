"""Networks for distorted digits (Jaderberg et al., NeurIPS 2015, arXiv 1506.02025, table 1).

    image -> spatial transformer -> conv 9x9 64, pool, conv 7x7 64, pool -> linear     (ST-CNN)
    image -> spatial transformer -> linear 256 -> linear 200 -> linear                 (ST-FCN)

ReLU, convolutions without padding, 2x2 max pools. The paper's appendix gives the layers and about
200,000 parameters; the widths 64, 64 and 256, 200 are those of a later study that rebuilt them
(luuf/stn-placement), which come to that. On its larger images (RTS, clutter) the paper averages
2x2 pixels after the transformer: `downsample=2`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from zoo.sdk import AtLeast, Count, PositiveFloat, PositiveInt, Size, refuse
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import as_pair
from zoo_plugins.mechanisms.spatial_transformer.warp import Warp
from zoo_plugins.networks.baselines.classifier import FlatClassifier, map_shape
from zoo_plugins.networks.stn.localisation import Localisation, digit_body, linear_body

NAME = "stn_mnist"
WIDTHS = {"cnn": (64, 64), "fcn": (256, 200)}


class Transformer(nn.Module):
    """A spatial transformer: localisation network, grid and sampler."""

    def __init__(self, localisation: Localisation, warp: Warp) -> None:
        super().__init__()
        self.localisation, self.warp = localisation, warp

    def forward(self, x: Tensor) -> Tensor:
        return self.warp(x, self.localisation(x))

    def outline(self, x: Tensor) -> Tensor:
        """Where the edge of the output looks in x, (B, points, 2); see `Warp.outline`."""
        return self.warp.outline(self.localisation(x))


class DistortedDigitNet(FlatClassifier):
    """(B, C, H, W) -> logits (B, num_classes).

    Args:
        num_classes: 10; 0 gives the vector before the classifier.
        in_chans: 1. img_size: (H, W) or one number, 28; the network is built for this size.
        transform: `affine`, `attention`, `projective`, `tps`, or `none`: the network alone, the
            paper's own baseline.
        network: `cnn` or `fcn`, the localisation network with it.
        widths: of the two layers; None is (64, 64) of `cnn`, (256, 200) of `fcn`.
        control_points: 4, for the 16 points of `tps`.
        downsample: pixels averaged each way after the transformer, 1.
        localisation_scale: see `Localisation`, 1.
        align_corners: of grid and sampling, False.
        global_pool: "" gives the last map, with num_classes=0.

    Raises:
        OptionError: the image is too small for the network.
        UsageError: an image of another size or number of channels.
    """

    name = NAME

    def __init__(
        self,
        *,
        num_classes: Count = 10,
        in_chans: PositiveInt = 1,
        img_size: Size = 28,
        transform: Literal["affine", "attention", "projective", "tps", "none"] = "affine",
        network: Literal["cnn", "fcn"] = "cnn",
        widths: tuple[PositiveInt, PositiveInt] | None = None,
        control_points: Annotated[int, AtLeast(2)] = 4,
        downsample: PositiveInt = 1,
        localisation_scale: PositiveFloat = 1.0,
        align_corners: bool = False,
        global_pool: Literal["flat", ""] = "flat",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.in_chans, self.image_size = in_chans, as_pair(img_size)
        conv, size = network == "cnn", self.image_size
        smallest = 28 if conv and transform != "none" else 1
        if min(size) < smallest:
            refuse(NAME, f"img_size={size} is less than {smallest} x {smallest}")
        first, second = widths or WIDTHS[network]

        self.transformer: nn.Module = nn.Identity()
        if transform != "none":
            options = {"control_points": control_points, "align_corners": align_corners, **dd}
            warp = Warp(size, transform, **options)
            body, width = _localiser(conv, in_chans, size, **dd)
            localisation = Localisation(body, width, warp.num_parameters, localisation_scale, **dd)
            self.transformer = Transformer(localisation, warp)
        self.downsample = nn.AvgPool2d(downsample) if downsample > 1 else nn.Identity()
        self.hidden = nn.Flatten()
        self.feature_info: list[dict[str, Any]] = []
        if conv:
            self.features = _convolutions(in_chans, first, second, **dd)
            flat = self._count(downsample)
            for index, layer in enumerate((2, 5)):
                reduction = downsample * 2 ** (index + 1)
                info = {"num_chs": (first, second)[index], "reduction": reduction}
                self.feature_info.append({**info, "module": f"features.{layer}"})
        else:
            pixels = in_chans * (size[0] // downsample) * (size[1] // downsample)
            body = linear_body(pixels, (first, second), **dd)
            self.features = nn.Sequential(*body, nn.Unflatten(1, (second, 1, 1)))
            flat = second
        self.finish(num_classes, second, head_hidden_size=flat, global_pool=global_pool, **dd)

    def forward_features(self, x: Tensor) -> Tensor:
        """The last map, (B, D, H', W'); of `fcn` the last hidden layer, (B, D, 1, 1)."""
        if not torch.jit.is_scripting():
            check_shape(NAME, "image", x, ("B", self.in_chans, *self.image_size))
        return self.features(self.downsample(self.transformer(x)))

    def transformed(self, x: Tensor) -> Tensor:
        """The image as the classifier sees it, before `downsample`."""
        return self.transformer(x)

    def outlines(self, x: Tensor) -> Tensor:
        """What each transformer takes of the image, for pictures.

        Returns:
            (transformers, B, points, 2): closed polygons of (x, y) in [-1, 1], -1 and 1 being the
            image's edges (with `align_corners`, the centres of its outermost pixels).
        """
        if not isinstance(self.transformer, Transformer):
            return x.new_empty(0, x.shape[0], 4, 2)
        return self.transformer.outline(x)[None]

    def _count(self, downsample: int) -> int:
        """Numbers of the last map, which must not be empty."""
        layers = nn.Sequential(self.downsample, self.features)
        try:
            depth, height, width = map_shape(layers, self.in_chans, self.image_size)
        except RuntimeError:
            depth = height = width = 0
        if not depth * height * width:
            size = f"img_size={self.image_size} with downsample={downsample}"
            refuse(NAME, f"{size} leaves nothing of the map")
        return depth * height * width


def _localiser(
    conv: bool, in_chans: int, size: tuple[int, int], **dd: Any
) -> tuple[nn.Module, int]:
    if conv:
        return digit_body(in_chans, size, 20, **dd), 20
    return linear_body(in_chans * size[0] * size[1], (32, 32, 32), **dd), 32


def _convolutions(in_chans: int, first: int, second: int, **dd: Any) -> nn.Sequential:
    """The pools round up: a 42 x 42 image averaged to 21 x 21 would leave nothing otherwise."""
    return nn.Sequential(
        nn.Conv2d(in_chans, first, 9, **dd),
        nn.ReLU(),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.Conv2d(first, second, 7, **dd),
        nn.ReLU(),
        nn.MaxPool2d(2, ceil_mode=True),
    )
