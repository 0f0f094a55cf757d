"""The eleven-layer network for house numbers (Goodfellow et al., ICLR 2014, arXiv 1312.6082).

    8 x [conv 5x5, norm, ReLU, max pool 2x2 of stride 2, 1, 2, 1, ..., dropout]
    - 2 x [linear 3072, ReLU] - heads: length, five digits

The defaults are those of the best-known port (potterhsu/SVHNClassifier-PyTorch, MIT): batch norm
where the paper subtracts the mean of 3x3 windows, ReLU where its first layer has maxout of three,
no locally connected layer, digits with a class for "none", and pools padded by 1, so that those of
stride 1 enlarge the map by 1. `norm`, `maxout`, `locally_connected`, `digit_classes=10` and
`drop_rate=0.5` ask for the paper's; its padding of the pools is not given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import Count, OddInt, PositiveInt, Share, Size, refuse
from zoo.sdk.map_size import as_pair
from zoo_plugins.networks.baselines.classifier import map_shape
from zoo_plugins.networks.baselines.sequence import DigitClasses, SequenceClassifier

NAME = "cnn11_svhn"
WIDTHS = (48, 64, 128, 160, 192, 192, 192, 192)


class Cnn11(SequenceClassifier):
    """(B, C, H, W) -> logits (B, 62): length 0 to 5 and "more", then five digits of 0 to 9, none.

    `heads` takes them apart, and `sequence` gives what each place holds.

    Args:
        num_classes: None is that of all heads; another number makes it a plain classifier.
        in_chans: 3. img_size: (H, W) or one number, 54.
        widths: of the convolutions. kernel_size: 5. fc: of the linear layers.
        length_classes, digit_classes, digits: of the heads; length_classes=0 is no length.
        drop_rate: 0.2, after each convolution's pool (and, with `locally_connected`, after that).
        norm: `batch` or `subtractive`.
        maxout: filters of each unit of the first layer, 1.
        locally_connected: a layer more, with kernels of its own at every place.
        global_pool: "" gives the last map, with num_classes=0.
    """

    name = NAME

    def __init__(
        self,
        *,
        num_classes: Count | None = None,
        in_chans: PositiveInt = 3,
        img_size: Size = 54,
        widths: Sequence[PositiveInt] = WIDTHS,
        kernel_size: OddInt = 5,
        fc: Sequence[PositiveInt] = (3072, 3072),
        length_classes: Count = 7,
        digit_classes: DigitClasses = 11,
        digits: PositiveInt = 5,
        drop_rate: Share = 0.2,
        norm: Literal["batch", "subtractive"] = "batch",
        maxout: PositiveInt = 1,
        locally_connected: bool = False,
        global_pool: Literal["flat", ""] = "flat",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.in_chans, self.image_size = in_chans, as_pair(img_size)
        outputs = self.set_heads(digits, digit_classes, length_classes)
        if not widths:
            refuse(NAME, "widths=() are those of no convolution")
        options: Any = {"kernel": kernel_size, "drop": drop_rate, "norm": norm, **dd}
        blocks: list[nn.Module] = []
        self.feature_info: list[dict[str, Any]] = []
        inputs, reduction = in_chans, 1
        for index, width in enumerate(widths):
            stride, units = 1 if index % 2 else 2, 1 if index else maxout
            blocks.append(_block(inputs, width, stride, units, **options))
            inputs, reduction = width, reduction * stride
            info = {"num_chs": inputs, "reduction": reduction, "module": f"features.{index}"}
            self.feature_info.append(info)
        self.features = nn.Sequential(*blocks)
        shape = map_shape(self.features, in_chans, self.image_size)
        flat = shape[0] * shape[1] * shape[2]
        layers: list[nn.Module] = [nn.Flatten()]
        if locally_connected:
            local = LocallyConnected(shape, inputs, kernel_size, **dd)
            layers = [local, nn.ReLU(), nn.Dropout(drop_rate), nn.Flatten()]
        for width in fc:
            layers += [nn.Linear(flat, width, **dd), nn.ReLU()]
            flat = width
        self.hidden = nn.Sequential(*layers)
        classes = outputs if num_classes is None else num_classes
        self.finish(classes, inputs, head_hidden_size=flat, global_pool=global_pool, **dd)


class Maxout(nn.Module):
    """(B, n C, H, W) -> (B, C, H, W): the greatest of each n channels in a row."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.filters = filters

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, self.filters)).amax(2)


class SubtractiveNorm(nn.Module):
    """x minus the mean of its 3 x 3 window, of what lies in the map."""

    def forward(self, x: Tensor) -> Tensor:
        return x - F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class LocallyConnected(nn.Module):
    """A convolution with a kernel of its own at each place: (B, C, H, W) -> (B, D, H, W)."""

    def __init__(self, shape: tuple[int, int, int], width: int, kernel: int, **dd: Any) -> None:
        super().__init__()
        channels, self.height, self.columns = shape
        self.kernel, inputs = kernel, channels * kernel * kernel
        places = self.height * self.columns
        self.weight = nn.Parameter(torch.empty(places, width, inputs, **dd))
        self.bias = nn.Parameter(torch.empty(width, places, **dd))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As `nn.Conv2d`."""
        bound = self.weight.shape[-1] ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        windows = F.unfold(x, self.kernel, padding=self.kernel // 2)  # (B, inputs, places)
        out = torch.einsum("bip,pwi->bwp", windows, self.weight) + self.bias
        return out.unflatten(2, (self.height, self.columns))


def _block(
    inputs: int, outputs: int, stride: int, units: int, *, kernel: int, drop: float, norm: str,
    **dd: Any,
) -> nn.Sequential:  # fmt: skip
    conv = nn.Conv2d(inputs, outputs * units, kernel, padding=kernel // 2, **dd)
    activation = nn.ReLU() if units == 1 else Maxout(units)
    pool = nn.MaxPool2d(2, stride, padding=1)
    if norm == "subtractive":  # of the pooled map
        return nn.Sequential(conv, activation, pool, SubtractiveNorm(), nn.Dropout(drop))
    batch_norm = nn.BatchNorm2d(outputs * units, **dd)
    return nn.Sequential(conv, batch_norm, activation, pool, nn.Dropout(drop))


def from_port(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The port's weights under our names, its six heads in one layer."""
    assert isinstance(module, Cnn11)
    blocks = len(module.features)
    heads = ["_digit_length", *(f"_digit{i + 1}" for i in range(module.digits))]
    heads = heads if module.length_classes else heads[1:]
    found: dict[str, Tensor] = {
        f"classifier.{leaf}": torch.cat([state[f"{head}.0.{leaf}"] for head in heads])
        for leaf in ("weight", "bias")
    }
    for key, tensor in state.items():
        layer, _, rest = key.partition(".")
        if not layer.startswith("_hidden"):
            continue
        index = int(layer.removeprefix("_hidden"))
        if index <= blocks:
            found[f"features.{index - 1}.{rest}"] = tensor
        else:  # a flattening, then a linear layer and its ReLU each
            found[f"hidden.{2 * (index - blocks) - 1}.{rest.partition('.')[2]}"] = tensor
    return found
