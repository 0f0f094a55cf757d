"""ResNets that are trained by guided attention inference (GAIN, arXiv 1802.10171).

The network and its parameters are timm's ResNet, so its weights load as they are; GAIN is how it is
trained (`GuidedAttentionLoss`) and what it can say of itself (`attention_maps`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn

from zoo.errors import OptionError
from zoo.sdk import NonNegativeFloat, Share
from zoo.training.objective import errors
from zoo_plugins.mechanisms.class_based.gain import Guidance, Guided, attention_mining
from zoo_plugins.mechanisms.class_based.grad_cam import grad_cam, min_max, resize
from zoo_plugins.networks.convnets.caffe import Depth, layers_of


class GainResNet(ResNet):
    """timm's ResNet; the last stage gives the features that attention is of.

    Args:
        depth: 18, 34, 50, 101 or 152.
        omega, sigma, normalize, align_corners: see `gain.Guidance`.
        **options: of `timm.models.ResNet`.
    """

    def __init__(
        self,
        depth: Depth = 50,
        omega: float = 10.0,
        sigma: float = 0.5,
        normalize: bool = True,
        align_corners: bool = False,
        **options: Any,
    ) -> None:
        layers, basic = layers_of(depth)
        block: Any = BasicBlock if basic else Bottleneck
        super().__init__(block, layers, **options)
        self.guidance = Guidance(omega, sigma, normalize, align_corners)

    def attend(self, images: Tensor, labels: Tensor | Sequence[int] | None = None) -> Guided:
        """The attention of `labels` (B,), or of the predicted classes, and what is said without."""
        return self.guidance.attend(images, self.forward_features, self.forward_head, labels)

    def attention_maps(
        self, images: Tensor, labels: Tensor | Sequence[int] | None = None
    ) -> dict[str, Tensor]:
        """For pictures: {"attention": (B, 1, H, W)}, each from 0 to 1, as large as the images."""
        self._require_classes()
        cam = grad_cam(self.forward_features(images), self.forward_head, labels)
        return {"attention": min_max(resize(cam.attention, images.shape[2:]))}

    def _require_classes(self) -> None:
        if not self.num_classes:
            raise OptionError(
                "there is no class to explain: the model has no classifier",
                where="num_classes=0",
                remedy="num_classes=1000",
            )


class GuidedAttentionLoss:
    """Cross-entropy, and the probability that is left where the attention is taken out.

    Args:
        model: one with `attend(images, labels)`, as `gain_resnet50`.
        mining_weight: alpha of the second term, 1 as in the paper.
        label_smoothing: of the cross-entropy.
    """

    calls = None  # a gradient of a gradient, which torch.compile does not give

    def __init__(
        self,
        model: nn.Module,
        *,
        mining_weight: NonNegativeFloat = 1.0,
        label_smoothing: Share = 0.0,
    ) -> None:
        if not isinstance(model, GainResNet):
            raise OptionError(f"{type(model).__name__} has no guided attention", where="objective")
        self.model = model
        self.mining, self.smoothing = mining_weight, label_smoothing

    def __call__(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        found = self.model.attend(images, targets)
        mined = attention_mining(found.logits_masked, targets)
        loss = F.cross_entropy(found.logits, targets, label_smoothing=self.smoothing)
        scalars = {
            "train_error": 100 * errors(found.logits, targets) / len(targets),
            "attention_mining": mined.detach(),
        }
        return loss + self.mining * mined, scalars

    def wrong(self, model: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """How many images are not given their class."""
        with torch.no_grad():
            return {"val_error": errors(model(images), targets)}
