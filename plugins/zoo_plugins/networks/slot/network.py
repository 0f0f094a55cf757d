"""A small classifier whose image is taken apart by slot attention (arXiv 2006.15055, appendix E).

    features = 4 x (conv 5x5, ReLU),   tokens = MLP(LN(features + position)),   slots = Slot(tokens)

The encoder and the soft position embedding (a linear layer of x, y, 1 - x, 1 - y) are the paper's
for set prediction, which ends in a prediction for each slot. Here one label is wanted of an image:
each slot goes through a perceptron, their mean is the feature, and a linear layer classifies it,
whatever the order of the slots. Which pixels are whose is in `attention_maps`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from zoo.sdk import Count, PositiveInt
from zoo.sdk.classifier import Classifier
from zoo_plugins.mechanisms.self_attention.slot import SlotAttention

NAME = "slot_cnn_64"


class SlotNet(Classifier):
    """(B, C, H, W) -> logits (B, num_classes).

    Args:
        num_classes: 0 leaves features.
        in_chans: C.
        dim: channels of the encoder and of the slots, 64.
        num_slots, iters: of the slot attention, 7 and 3.
        stride: of the first two convolutions, 2, so that slots share (H / 4) (W / 4) tokens.
        global_pool: `avg`, the mean over slots.
    """

    name, classifier_name = NAME, "head"

    if TYPE_CHECKING:
        head: nn.Module

    def __init__(
        self,
        num_classes: Count = 10,
        in_chans: PositiveInt = 3,
        dim: PositiveInt = 64,
        num_slots: PositiveInt = 7,
        iters: PositiveInt = 3,
        stride: PositiveInt = 2,
        global_pool: Literal["avg", ""] = "avg",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.in_chans = in_chans
        layers: list[nn.Module] = []
        for i, step in enumerate((stride, stride, 1, 1)):
            layers += [nn.Conv2d(dim if i else in_chans, dim, 5, step, 2, **dd), nn.ReLU()]
        self.encoder = nn.Sequential(*layers)
        self.position = nn.Linear(4, dim, **dd)
        self.norm = nn.LayerNorm(dim, **dd)
        self.mlp = _perceptron(dim, dd)
        self.slots = SlotAttention(dim, num_slots=num_slots, iters=iters, **dd)
        self.slot_mlp = _perceptron(dim, dd)
        self.feature_info = [{"num_chs": dim, "reduction": stride**2, "module": "encoder"}]
        self.finish(num_classes, dim, global_pool=global_pool, **dd)

    def forward_features(self, x: Tensor) -> Tensor:
        """The slots, (B, K, dim)."""
        return self.slots(self._tokens(self.encoder(x)))

    def pool(self, x: Tensor) -> Tensor:
        """The mean of the slots, each behind the perceptron."""
        return self.slot_mlp(x).mean(1)

    def classify(self, x: Tensor) -> Tensor:
        return self.head(x)

    def attention_maps(self, images: Tensor) -> dict[str, Tensor]:
        """For pictures: {"attention": (B, slots, h, w)}, each slot's share of each place."""
        features = self.encoder(images)
        shares = self.slots.explain(self._tokens(features))[1]
        return {"attention": shares.unflatten(2, features.shape[2:])}

    def _tokens(self, features: Tensor) -> Tensor:
        """(B, dim, h, w) -> tokens with their positions, (B, h w, dim)."""
        height, width = features.shape[2:]
        rows = torch.linspace(0.0, 1.0, height, device=features.device, dtype=features.dtype)
        columns = torch.linspace(0.0, 1.0, width, device=features.device, dtype=features.dtype)
        grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), 2).flatten(0, 1)
        x = features.flatten(2).transpose(1, 2) + self.position(torch.cat((grid, 1 - grid), 1))
        return self.mlp(self.norm(x))


def _perceptron(dim: int, dd: Any) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, dim, **dd), nn.ReLU(), nn.Linear(dim, dim, **dd))
