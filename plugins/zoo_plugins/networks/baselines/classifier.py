"""timm's interface of a network that flattens its last map into a classifier.

The networks of the time before global pooling: `features` gives a map, `hidden` makes a vector of
it, and `classifier` is one linear layer. Their size is fixed by that vector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call

from zoo.sdk.classifier import Classifier
from zoo.sdk.inputs import check_shape


class FlatClassifier(Classifier):
    """(B, C, H, W) -> logits (B, num_classes); a subclass sets the layers and calls `finish`.

    Attributes:
        image_size: (H, W), the only size that it takes. in_chans: C.
        features: image -> map (B, num_features, H', W'). hidden: map -> (B, head_hidden_size).
        classifier: the last layer, the identity where num_classes is 0.
    """

    pools = ("flat", "")
    global_pool = "flat"

    if TYPE_CHECKING:
        in_chans: int
        image_size: tuple[int, int]
        features: nn.Sequential
        hidden: nn.Module

    def forward_features(self, x: Tensor) -> Tensor:
        """The last map, (B, num_features, H', W')."""
        if not torch.jit.is_scripting():
            check_shape(self.name, "image", x, ("B", self.in_chans, *self.image_size))
        return self.features(x)

    def pool(self, x: Tensor) -> Tensor:
        """The vector of the last map."""
        return self.hidden(x)


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
