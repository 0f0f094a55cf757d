"""timm's interface of a network that classifies, for networks that are written from scratch.

`timm.create_model(..., num_classes=0)`, `reset_classifier`, `forward_head(..., pre_logits=True)`
and the rest are expected of every model of the zoo. A network inherits them from `Classifier`, and
states only how it sees (`forward_features`) and what it classifies (`pool`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoo.sdk.options import check_int, refuse


class Classifier(nn.Module):
    """From images to logits (B, num_classes), by one linear layer on a vector of each image.

    A subclass sets `name`, makes its layers and calls `finish`. It has `forward_features`, whose
    output has `num_features` channels, and `pool`, which makes a vector (B, `head_hidden_size`) of
    that. Where `global_pool` is empty, the output is what `forward_features` gives.

    Attributes:
        name: for messages.
        classifier_name: path of the last layer, the identity where `num_classes` is 0. A subclass
            that changes it overrides `classify`, and `make_classifier` where the layer is not its
            own attribute.
        pools: what `global_pool` may be, the default first. Pooling can be left out if "" is there.
    """

    name = "classifier"
    classifier_name = "classifier"
    pools = ("avg", "")
    global_pool = "avg"  # of a model that was pickled before it had a choice

    if TYPE_CHECKING:  # TorchScript cannot read postponed annotations
        classifier: nn.Module

    def finish(
        self, num_classes: int, num_features: int, *, head_hidden_size: int | None = None,
        global_pool: str | None = None, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        """Add the classifier. `head_hidden_size` is `num_features` unless it is given."""
        self.num_features = num_features
        self.head_hidden_size = num_features if head_hidden_size is None else head_hidden_size
        self.global_pool = self.pools[0]
        self._pool_by(global_pool, num_classes)
        self._classify(num_classes, device=device, dtype=dtype)

    def forward_features(self, x: Tensor) -> Tensor:
        """What the network sees, before it is pooled."""
        raise NotImplementedError

    def pool(self, x: Tensor) -> Tensor:
        """From the output of `forward_features` to a vector (B, head_hidden_size)."""
        raise NotImplementedError

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """From the output of `forward_features` to logits, or to the vector that they are read
        from.
        """
        if not self.global_pool:
            return x
        x = self.pool(x)
        return x if pre_logits else self.classify(x)

    def classify(self, x: Tensor) -> Tensor:
        """From a vector of each image to logits."""
        return self.classifier(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    @torch.jit.ignore()
    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.get_submodule(self.classifier_name)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put a new classifier in the place of the old one. 0 classes remove it.

        `global_pool=""` removes pooling too, and None leaves it as it is.
        """
        self._pool_by(global_pool, num_classes)
        like = next(self.parameters())
        self._classify(num_classes, device=like.device, dtype=like.dtype)

    def _pool_by(self, global_pool: str | None, num_classes: int) -> None:
        if global_pool is None:
            return
        if global_pool not in self.pools:
            known = " or ".join(f'"{pool}"' for pool in self.pools)
            refuse(self.name, f"global_pool={global_pool!r} is not known here", known)
        if global_pool == "" and num_classes:
            refuse(self.name, "what is not pooled has no classes", "num_classes=0")
        self.global_pool = global_pool

    def _classify(self, num_classes: int, **dd: Any) -> None:
        self.num_classes = check_int(self.name, "num_classes", num_classes, 0)
        self.make_classifier(num_classes, **dd)

    def make_classifier(self, num_classes: int, **dd: Any) -> None:
        """Put a new last layer where the old one was."""
        width = self.head_hidden_size
        layer = nn.Linear(width, num_classes, **dd) if num_classes else nn.Identity()
        self.add_module(self.classifier_name, layer.train(self.training))
