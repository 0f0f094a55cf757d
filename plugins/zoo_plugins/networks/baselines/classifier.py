"""timm's interface of a network that flattens its last map into a classifier.

The networks of the time before global pooling: `features` gives a map, `hidden` makes a vector of
it, and `classifier` is one linear layer. Their size is fixed by that vector.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from zoo.sdk.inputs import check_shape
from zoo.sdk.options import check_int, refuse


class FlatClassifier(nn.Module):
    """(B, C, H, W) -> logits (B, num_classes); a subclass sets the layers and calls `finish`.

    Attributes:
        image_size: (H, W), the only size that it takes. in_chans: C.
        features: image -> map (B, D, H', W'). hidden: map -> (B, num_features).
        classifier: the last layer, the identity where num_classes is 0.
    """

    name: str
    in_chans: int
    image_size: tuple[int, int]
    features: nn.Sequential
    hidden: nn.Module
    num_classes: int
    num_features: int
    head_hidden_size: int
    classifier: nn.Module

    def finish(self, num_features: int, num_classes: int, device: Any, dtype: Any) -> None:
        """The classifier on `num_features` values."""
        self.num_features = self.head_hidden_size = num_features
        self.global_pool = "flat"
        self._classify(num_classes, device, dtype)

    def forward_features(self, x: Tensor) -> Tensor:
        """The last map, (B, D, H', W')."""
        check_shape(self.name, "image", x, ("B", self.in_chans, *self.image_size))
        return self.features(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The last map -> logits, or the vector that they are read from."""
        if not self.global_pool:
            return x
        x = self.hidden(x)
        return x if pre_logits else self.classifier(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        return self.classifier

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new classifier; 0 removes it, and `global_pool=""` leaves the map as it is."""
        if global_pool not in (None, "", "flat"):
            refuse(self.name, f"global_pool={global_pool!r}: the map is flattened", '"flat" or ""')
        if global_pool == "" and num_classes:
            refuse(self.name, "a map that is not flattened has no classes", "num_classes=0")
        self.global_pool = self.global_pool if global_pool is None else global_pool
        like = next(self.parameters())
        self._classify(num_classes, like.device, like.dtype)

    def _classify(self, num_classes: int, device: Any, dtype: Any) -> None:
        self.num_classes = check_int(self.name, "num_classes", num_classes, 0)
        self.classifier = nn.Identity()
        if num_classes:
            self.classifier = nn.Linear(self.num_features, num_classes, device=device, dtype=dtype)


def map_shape(layers: nn.Module, in_chans: int, size: tuple[int, int]) -> tuple[int, int, int]:
    """(D, H', W') of what `layers` make of an image of this size; computes no numbers.

    Raises:
        RuntimeError: the image is too small for them.
    """
    state = {**dict(layers.named_parameters()), **dict(layers.named_buffers())}
    ghosts = {name: tensor.detach().to("meta") for name, tensor in state.items()}
    dtype = next(layers.parameters()).dtype
    image = torch.empty(2, in_chans, *size, device="meta", dtype=dtype)
    out = functional_call(layers, ghosts, (image,))
    return out.shape[1], out.shape[2], out.shape[3]
