"""Networks for house numbers (Jaderberg et al., NeurIPS 2015, arXiv 1506.02025, section 4.2).

    conv 48 - pool - conv 64 - conv 128 - pool - conv 160 - conv 192 - pool - conv 192 - conv 192
    - pool - conv 192 - linear 3072 - linear 3072 - five linear heads of 0 to 9 and none

5x5 convolutions that keep the size, 2x2 max pools, ReLU; 64 x 64 pixels. ST-CNN Single has one
affine transformer before the first convolution, with a convolutional localisation network;
ST-CNN Multi one before each of the first four, with two linear layers of 32. Sizes as quoted from
the paper's appendix by readers.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import AtLeast, Count, PositiveFloat, PositiveInt, Share
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import as_pair
from zoo_plugins.mechanisms.spatial_transformer.warp import Warp
from zoo_plugins.networks.baselines.classifier import map_shape
from zoo_plugins.networks.baselines.sequence import DigitClasses, SequenceClassifier
from zoo_plugins.networks.stn.digits import Transformer
from zoo_plugins.networks.stn.localisation import Localisation, house_number_body, linear_body

NAME = "stn_svhn"
WIDTHS = (48, 64, 128, 160, 192, 192, 192, 192)
Side: TypeAlias = Annotated[int, AtLeast(16)]  # which four pools leave a pixel of
Widths: TypeAlias = tuple[
    PositiveInt, PositiveInt, PositiveInt, PositiveInt,
    PositiveInt, PositiveInt, PositiveInt, PositiveInt,
]  # fmt: skip


class HouseNumberNet(SequenceClassifier):
    """(B, C, H, W) -> logits (B, 55): five digits of 0 to 9 or none. See `SequenceClassifier`.

    Args:
        num_classes: None is that of all heads; another number makes it a plain classifier.
        in_chans: 3. img_size: (H, W) or one number, 64.
        transformers: 1 (Single), 4 (Multi) or 0 (the paper's own baseline).
        widths: of the eight convolutions. fc: of the two linear layers.
        digits, digit_classes: of the heads.
        drop_rate: 0.5, after every layer but the first and those of the localisation networks.
        localisation_scale: see `Localisation`; 0.316 is a tenth of SGD's rate, as in the paper.
        global_pool: "" gives the last map, with num_classes=0.
    """

    name = NAME

    def __init__(
        self,
        *,
        num_classes: Count | None = None,
        in_chans: PositiveInt = 3,
        img_size: Side | tuple[Side, Side] = 64,
        transformers: Literal[0, 1, 4] = 1,
        widths: Widths = WIDTHS,
        fc: tuple[PositiveInt, PositiveInt] = (3072, 3072),
        digits: PositiveInt = 5,
        digit_classes: DigitClasses = 11,
        drop_rate: Share = 0.5,
        localisation_scale: PositiveFloat = 0.316,
        global_pool: Literal["flat", ""] = "flat",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.in_chans, self.image_size = in_chans, as_pair(img_size)
        outputs = self.set_heads(digits, digit_classes, 0)
        layers: list[nn.Module] = []
        self.feature_info: list[dict[str, Any]] = []
        shape, reduction = (in_chans, *self.image_size), 1
        for index, width in enumerate(widths):
            if index < transformers:
                layers.append(_transformer(shape, transformers == 1, localisation_scale, **dd))
            drop = drop_rate if index else 0.0
            block = _block(shape[0], width, pool=index % 2 == 0, drop=drop, **dd)
            layers.append(block)
            shape = map_shape(block, shape[0], shape[1:])
            reduction *= 1 if index % 2 else 2
            module = f"features.{len(layers) - 1}"
            self.feature_info.append({"num_chs": width, "reduction": reduction, "module": module})
        self.features = nn.Sequential(*layers)
        flat = shape[0] * shape[1] * shape[2]
        hidden: list[nn.Module] = [nn.Flatten()]
        for width in fc:
            hidden += [nn.Linear(flat, width, **dd), nn.ReLU(), nn.Dropout(drop_rate)]
            flat = width
        self.hidden = nn.Sequential(*hidden)
        classes = outputs if num_classes is None else num_classes
        self.finish(classes, shape[0], head_hidden_size=flat, global_pool=global_pool, **dd)

    def transformed(self, x: Tensor) -> Tensor:
        """The image as the first convolution sees it."""
        first = self.features[0]
        return first(x) if isinstance(first, Transformer) else x

    def outlines(self, x: Tensor) -> Tensor:
        """What each transformer takes of the image, for pictures.

        Returns:
            (transformers, B, 4, 2): corners as (x, y) in [-1, 1], -1 and 1 being the image's
            edges; those of later transformers through the ones before.
        """
        check_shape(NAME, "image", x, ("B", self.in_chans, *self.image_size))
        total = torch.eye(3, device=x.device).expand(x.shape[0], 3, 3)
        found: list[Tensor] = []
        corners = x.new_tensor([[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]])
        for layer in self.features:
            if isinstance(layer, Transformer):
                offset = layer.localisation(x)
                theta = (offset + layer.warp.identity).unflatten(1, (2, 3))
                last = F.pad(theta.new_zeros(x.shape[0], 1, 2), (0, 1), value=1.0)
                total = total @ torch.cat((theta, last), 1)
                found.append(corners @ total[:, :2].mT)
            x = layer(x)
        return torch.stack(found) if found else x.new_empty(0, x.shape[0], 4, 2)


def _transformer(shape: tuple[int, int, int], conv: bool, scale: float, **dd: Any) -> Transformer:
    channels, height, width = shape
    warp = Warp((height, width), "affine", **dd)
    if conv:
        body = house_number_body(channels, (height, width), **dd)
    else:
        body = linear_body(channels * height * width, (32, 32), **dd)
    return Transformer(Localisation(body, 32, warp.num_parameters, scale, **dd), warp)


def _block(inputs: int, outputs: int, *, pool: bool, drop: float, **dd: Any) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 5, padding=2, **dd), nn.ReLU()]
    layers += [nn.MaxPool2d(2)] if pool else []
    layers += [nn.Dropout(drop)] if drop else []
    return nn.Sequential(*layers)
