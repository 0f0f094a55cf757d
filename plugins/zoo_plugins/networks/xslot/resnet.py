"""SCOUTER (Li et al., ICCV 2021, arXiv 2009.06138): ResNets whose classifier explains itself.

timm's ResNet with `XSlot` in the place of pooling and classifier: the evidence of each class is a
sum over places, and `attention_maps` shows them. All parameters but the head's (`fc`) have timm's
names. Logits are returned, where the authors return their log_softmax.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn

from zoo.errors import OptionError
from zoo.sdk import Count, DropRate, NonNegativeFloat, PositiveFloat, PositiveInt
from zoo.training.objective import errors
from zoo_plugins.mechanisms.class_based.xslot import XSlot
from zoo_plugins.networks.convnets.caffe import Depth, layers_of


class XSlotResNet(ResNet):
    """timm's ResNet with a slot for each class on its last map.

    Args:
        depth: 18, 34, 50, 101 or 152.
        num_classes: K; 0 leaves out the head.
        slot_dim, slots_per_class, iters, loss_status, power, to_k_layers, position: `dim` (64) and
            the rest of `XSlot`.
        **options: of `timm.models.ResNet`.
    """

    def __init__(
        self,
        depth: Depth = 50,
        num_classes: Count = 1000,
        slot_dim: PositiveInt = 64,
        slots_per_class: PositiveInt = 1,
        iters: PositiveInt = 3,
        loss_status: Literal[1, -1] = 1,
        power: PositiveFloat = 2,
        to_k_layers: PositiveInt = 1,
        position: str = "sine",
        **options: Any,
    ) -> None:
        layers, basic = layers_of(depth)
        block: Any = BasicBlock if basic else Bottleneck
        super().__init__(block, layers, num_classes=0, **options)
        self.slot_options: dict[str, Any] = {
            "dim": slot_dim, "slots_per_class": slots_per_class, "iters": iters, "power": power,
            "loss_status": loss_status, "to_k_layers": to_k_layers, "position": position,
        }  # fmt: skip
        self.reset_classifier(num_classes)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new head of that many classes; 0 leaves pooled features, or the map without pooling."""
        super().reset_classifier(0, global_pool)
        self.num_classes = num_classes
        if num_classes:
            weight = self.conv1.weight
            assert isinstance(weight, Tensor)
            head = XSlot(
                int(self.num_features), num_classes=num_classes, **self.slot_options,
                device=weight.device, dtype=weight.dtype,
            )  # fmt: skip
            self.fc: nn.Module = head.train(self.training)

    def get_classifier(self, name_only: bool = False) -> str | nn.Module:
        """What there is of each class: the slots."""
        name = "fc.slots" if isinstance(self.fc, XSlot) else "fc"
        return name if name_only else self.get_submodule(name)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The last map -> logits, or pooled features."""
        return self.fc(x) if self.num_classes and not pre_logits else self.global_pool(x)

    def attend(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, K), and the attention of all slots (B, slots, h, w)."""
        return self.head().explain(self.forward_features(images))

    def attention_maps(self, images: Tensor) -> dict[str, Tensor]:
        """For pictures: {"attention": (B, K, h, w)}, from 0 to 1, of the size of the last map."""
        return {"attention": self.head().class_maps(self.attend(images)[1])}

    def head(self) -> XSlot:
        """The head, which explains."""
        if not isinstance(self.fc, XSlot):
            raise OptionError(
                "there is no class to explain: the model has no classifier",
                where="num_classes=0",
                remedy="num_classes=1000",
            )
        return self.fc


class XSlotLoss:
    """Cross-entropy, and lambda times the area of the explanations.

    Args:
        model: `xslot_resnet50`, or another depth.
        area_weight: lambda, 1 as in the authors' code.
        label_smoothing: of the cross-entropy.
    """

    calls = "attend"

    def __init__(
        self,
        model: nn.Module,
        *,
        area_weight: NonNegativeFloat = 1.0,
        label_smoothing: DropRate = 0.0,
    ) -> None:
        if not isinstance(model, XSlotResNet):
            raise OptionError(f"{type(model).__name__} has no slots", where="objective")
        self.model, self.attend = model, model.attend
        self.weight, self.smoothing = area_weight, label_smoothing

    def __call__(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        logits, shares = self.attend(images)
        area = self.model.head().area_loss(shares)
        loss = F.cross_entropy(logits, targets, label_smoothing=self.smoothing)
        wrong = 100 * errors(logits, targets) / len(targets)
        return loss + self.weight * area, {"train_error": wrong, "area_loss": area.detach()}

    def wrong(self, model: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """How many images are not given their class."""
        with torch.no_grad():
            return {"val_error": errors(model(images), targets)}
