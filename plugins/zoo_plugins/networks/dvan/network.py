"""The whole diversified visual attention network: canvases, a convolutional network, the attention.

Zhao et al., IEEE TMM 2017, arXiv 1606.08572. The canvases go from coarse to fine: windows of the
image of each of several scales, spread evenly and all brought to one size. Which scales and how
many windows is chosen here: the image, then four windows of 0.6 of its sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import OptionError
from zoo.sdk import Above, AtMost, Count, NonNegativeFloat, PositiveInt, Share, refuse
from zoo.sdk.classifier import Classifier
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import as_pair
from zoo.training.objective import errors
from zoo_plugins.mechanisms.recurrent.dvan import NAME, DiversifiedAttention, Steps, diversity_loss
from zoo_plugins.networks.dvan.canvases import make_canvases, windows

Scale: TypeAlias = Annotated[float, Above(0), AtMost(1)]


class DiversifiedAttentionNetwork(Classifier):
    """images (B, 3, H, W) -> log-probabilities (B, K).

    Args:
        features: a timm model whose last feature map is attended to.
        num_classes: K; 0 gives the last hidden state. hidden_size: see `DiversifiedAttention`.
        in_chans: of the image. canvas_size: of a canvas in pixels.
        scales: sides of the windows as shares of the image's, coarse to fine; for each there are
            ceil(1 / scale) by as many windows.
    """

    name, classifier_name = NAME, "attention.classifier"
    pools = ("last", "")

    def __init__(
        self,
        features: str = "vgg16",
        *,
        num_classes: Count = 1000,
        in_chans: PositiveInt = 3,
        canvas_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 224,
        scales: Sequence[Scale] = (1.0, 0.6),
        hidden_size: PositiveInt = 512,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if not scales:
            refuse(NAME, "scales=() are those of no canvas", "scales=(1.0, 0.6)")
        dd: Any = {"device": device, "dtype": dtype}
        self.scales, self.canvas_size = list(scales), as_pair(canvas_size)
        self.in_chans = in_chans
        self.backbone: Any = timm.create_model(
            features, features_only=True, out_indices=(-1,), in_chans=in_chans, **dd
        )
        reduction: int = self.backbone.feature_info.reduction()[-1]
        height, width = (max(1, side // reduction) for side in self.canvas_size)
        self.attention = DiversifiedAttention(
            self.backbone.feature_info.channels()[-1], feat_size=(height, width), num_classes=0,
            hidden_size=hidden_size, **dd,
        )  # fmt: skip
        self.finish(num_classes, hidden_size, **dd)

    def make_classifier(self, num_classes: int, **dd: Any) -> None:
        """The classifier of the attention, which is its last layer."""
        self.attention.reset_classifier(num_classes, **dd)

    def forward_features(self, images: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The hidden state after each canvas, (B, T, D)."""
        return self.attention.look(self.canvas_features(images))[0]

    def pool(self, x: Tensor) -> Tensor:
        """The last hidden state."""
        return x[:, -1]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Hidden states (B, T, D) -> log of the mean probability, or the last of them."""
        if not self.global_pool:
            return x
        return self.pool(x) if pre_logits else self.attention.classify(x)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Version 0.1 kept the number of classes on the attention alone."""
        super().__setstate__({"num_classes": state["_modules"]["attention"].num_classes, **state})

    def attend(self, images: Tensor) -> Steps:
        """What each canvas says, and where it was looked at."""
        return self.attention.attend(self.canvas_features(images))

    def attention_maps(self, images: Tensor) -> dict[str, Tensor]:
        """For pictures: the attention over the image, (B, T, H, W), each canvas in its place."""
        attention = self.attend(images).attention
        boxes = windows(self.scales, images.shape[2:])
        whole = images.new_zeros(images.shape[0], len(boxes), *images.shape[2:])
        for t, (top, left, height, width) in enumerate(boxes):
            patch = F.interpolate(attention[:, t : t + 1], (height, width), mode="bilinear")
            whole[:, t, top : top + height, left : left + width] = patch[:, 0]
        return {"attention": whole}

    def canvas_features(self, images: Tensor) -> Tensor:
        """(B, T, C, h, w)."""
        check_shape(NAME, "images", images, ("B", self.in_chans, "H", "W"))
        canvases = make_canvases(images, self.scales, self.canvas_size)
        (maps,) = self.backbone(canvases.flatten(0, 1))
        return F.adaptive_avg_pool2d(maps, self.attention.feat_size).unflatten(
            0, canvases.shape[:2]
        )


class DiversifiedAttentionLoss:
    """Cross-entropy of every step, and what consecutive steps looked at twice.

    Args:
        model: `dvan_vgg16`, or another `DiversifiedAttentionNetwork`.
        diversity_weight: lambda of the second term. label_smoothing: of the first.
    """

    calls = "attend"

    def __init__(
        self,
        model: nn.Module,
        *,
        diversity_weight: NonNegativeFloat = 1.0,
        label_smoothing: Share = 0.0,
    ) -> None:
        if not isinstance(model, DiversifiedAttentionNetwork):
            raise OptionError(f"{type(model).__name__} has no diversified attention")
        self.model, self.attend = model, model.attend
        self.weight, self.smoothing = diversity_weight, label_smoothing

    def __call__(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        steps = self.attend(images)
        logits, repeated = steps.logits, targets.unsqueeze(1).expand(steps.logits.shape[:2])
        loss = F.cross_entropy(
            logits.flatten(0, 1), repeated.flatten(), label_smoothing=self.smoothing
        )
        overlap = diversity_loss(steps.attention)
        mean = logits.softmax(-1).mean(1)
        scalars = {
            "train_error": 100 * errors(mean, targets) / len(targets),
            "overlap": overlap.detach(),
        }
        return loss + self.weight * overlap, scalars

    def wrong(self, model: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """How many images are not given their class."""
        with torch.no_grad():
            return {"val_error": errors(model(images), targets)}
