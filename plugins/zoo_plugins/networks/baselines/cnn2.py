"""The two-layer network of the Keras example `mnist_cnn`.

    conv 3x3 32, ReLU - conv 3x3 64, ReLU - max pool 2 - dropout 0.25
    - linear 128, ReLU - dropout 0.5 - linear

No padding. Keras flattens the map with the channels last, this with the channels first: the key
map reorders the columns of the first linear layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from zoo.sdk.map_size import size_pair
from zoo.sdk.options import check_choice, check_int, check_share, refuse
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
        num_classes: 10. in_chans: 1. image_size: (H, W) or one number, 28.
        widths: of the convolutions, (32, 64). kernel_size: 3. pool: 2. fc: 128.
        padding: `valid` (none) or `same`.
        drop_rates: after the pool and after the linear layer, (0.25, 0.5).
        global_pool: "" gives the last map, with num_classes=0.
    """

    name = NAME

    def __init__(
        self,
        *,
        num_classes: int = 10,
        in_chans: int = 1,
        image_size: int | Sequence[int] = 28,
        widths: Sequence[int] = (32, 64),
        kernel_size: int = 3,
        padding: str = "valid",
        pool: int = 2,
        fc: int = 128,
        drop_rates: Sequence[float] = (0.25, 0.5),
        global_pool: str | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.in_chans = check_int(NAME, "in_chans", in_chans)
        self.image_size = size_pair(NAME, "image_size", image_size)
        for key, value in (("widths", widths), ("drop_rates", drop_rates)):
            if not isinstance(value, Sequence) or len(value) != 2:
                refuse(NAME, f"{key}={value!r} is not one number for each of two layers")
        first, second = (check_int(NAME, "widths", width) for width in widths)
        after_pool, after_fc = (check_share(NAME, "drop_rates", rate) for rate in drop_rates)
        kernel = check_int(NAME, "kernel_size", kernel_size)
        pad = check_choice(NAME, "padding", padding, ("valid", "same"))
        pool = check_int(NAME, "pool", pool)
        self.features = nn.Sequential(
            nn.Conv2d(self.in_chans, first, kernel, padding=pad, **dd),
            nn.ReLU(),
            nn.Conv2d(first, second, kernel, padding=pad, **dd),
            nn.ReLU(),
            nn.MaxPool2d(pool),
        )
        self.feature_info = [
            {"num_chs": first, "reduction": 1, "module": "features.1"},
            {"num_chs": second, "reduction": pool, "module": "features.4"},
        ]
        try:
            depth, height, width = map_shape(self.features, self.in_chans, self.image_size)
        except RuntimeError:
            refuse(NAME, f"image_size={image_size} is too small for the network")
        fc = check_int(NAME, "fc", fc)
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
