"""The two-layer network of the Keras example `mnist_cnn`.

    conv 3x3 32, ReLU - conv 3x3 64, ReLU - max pool 2 - dropout 0.25
    - linear 128, ReLU - dropout 0.5 - linear

No padding. Keras flattens the map with the channels last, this with the channels first: the key
map reorders the columns of the first linear layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor, nn

from zoo.sdk import Count, PositiveInt, Share, Size, refuse
from zoo.sdk.map_size import as_pair
from zoo_plugins.networks.baselines.classifier import FlatClassifier, map_shape

NAME = "cnn2_mnist"
MODULES = {
    "conv2d_1": "features.0",
    "conv2d_2": "features.2",
    "dense_1": "hidden.2",
    "dense_2": "classifier",
}


class Cnn2(FlatClassifier):
    """(B, C, H, W) -> logits (B, num_classes).

    Args:
        num_classes: 10. in_chans: 1. img_size: (H, W) or one number, 28.
        widths: of the convolutions, (32, 64). kernel_size: 3. pool: 2. fc: 128.
        padding: `valid` (none) or `same`.
        drop_rates: after the pool and after the linear layer, (0.25, 0.5).
        global_pool: "" gives the last map, with num_classes=0.
    """

    name = NAME

    def __init__(
        self,
        *,
        num_classes: Count = 10,
        in_chans: PositiveInt = 1,
        img_size: Size = 28,
        widths: tuple[PositiveInt, PositiveInt] = (32, 64),
        kernel_size: PositiveInt = 3,
        padding: Literal["valid", "same"] = "valid",
        pool: PositiveInt = 2,
        fc: PositiveInt = 128,
        drop_rates: tuple[Share, Share] = (0.25, 0.5),
        global_pool: Literal["flat", ""] = "flat",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.in_chans, self.image_size = in_chans, as_pair(img_size)
        (first, second), (after_pool, after_fc) = widths, drop_rates
        self.features = nn.Sequential(
            nn.Conv2d(in_chans, first, kernel_size, padding=padding, **dd),
            nn.ReLU(),
            nn.Conv2d(first, second, kernel_size, padding=padding, **dd),
            nn.ReLU(),
            nn.MaxPool2d(pool),
        )
        self.feature_info = [
            {"num_chs": first, "reduction": 1, "module": "features.1"},
            {"num_chs": second, "reduction": pool, "module": "features.4"},
        ]
        try:
            depth, height, width = map_shape(self.features, in_chans, self.image_size)
        except RuntimeError:
            refuse(NAME, f"img_size={img_size} is too small for the network")
        self.hidden = nn.Sequential(
            nn.Dropout(after_pool),
            nn.Flatten(),
            nn.Linear(depth * height * width, fc, **dd),
            nn.ReLU(),
            nn.Dropout(after_fc),
        )
        self.finish(num_classes, second, head_hidden_size=fc, global_pool=global_pool, **dd)


def from_keras(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The Keras model's weights, in PyTorch's layout, under our names."""
    assert isinstance(module, Cnn2)
    depth, height, width = map_shape(module.features, module.in_chans, module.image_size)
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name, _, leaf = key.rpartition(".")
        if (name, leaf) == ("dense_1", "weight"):
            tensor = tensor.unflatten(1, (height, width, depth)).permute(0, 3, 1, 2).flatten(1)
        found[f"{MODULES.get(name, name)}.{leaf}"] = tensor
    return found
