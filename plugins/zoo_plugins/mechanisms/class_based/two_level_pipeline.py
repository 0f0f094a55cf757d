"""The two-level model whole (Xiao et al., CVPR 2015, arXiv 1411.6447, figure 5).

    bottom-up:     P candidate patches of each image (selective search in the paper), given
    object level:  a patch stays if FilterNet, which knows basic categories, gives the object's
                   category at least `threshold`;  o = mean of DomainNet's softmax over what stays
    part level:    of all patches the part detectors take one a part (`two_level.PartAttention`);
                   s = softmax(W [DomainNet's features of the k patches])
    score = o + alpha s

FilterNet is a classifier of a general kind (1000 classes), of which `parents` are the classes of
the object's basic category (the dogs, the birds); DomainNet is trained on the patches that stay.

Chosen here, where the text was not at hand: alpha = 0.5; where no patch passes the threshold the
best one stays; a linear softmax classifier in the place of the paper's SVM.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from zoo.sdk import Count, PositiveFloat, PositiveInt, Share, refuse
from zoo_plugins.mechanisms.class_based.two_level import NAME, PartAttention


class Levels(NamedTuple):
    """scores, object_scores, part_scores (B, K); kept bool (B, P); selected (B, k)."""

    scores: Tensor
    object_scores: Tensor
    part_scores: Tensor
    kept: Tensor
    selected: Tensor


class TwoLevelAttention(nn.Module):
    """patches (B, P, 3, H, W), mask (B, P) -> scores (B, K), which sum to 1 + alpha.

    Args:
        filter_net: patches -> logits of general classes. parents: the object's among them.
        domain_net: timm's interface (`forward_features`, `forward_head`), K classes.
        part_layer: path of the convolution of `domain_net` whose filters find parts.
        num_parts: k. threshold: of FilterNet's probability of the parents, 0 to 1.
        alpha: weight of the part level.

    `fit_parts()` clusters the filters of `part_layer`, once `domain_net` is trained.
    """

    def __init__(
        self,
        filter_net: nn.Module,
        domain_net: nn.Module,
        *,
        parents: Sequence[Count],
        part_layer: str,
        num_parts: PositiveInt = 2,
        threshold: Share = 0.5,
        alpha: PositiveFloat = 0.5,
    ) -> None:
        super().__init__()
        self.filter_net, self.domain_net = filter_net, domain_net
        self.parents, self.threshold, self.alpha = list(parents), threshold, alpha
        layer = dict(domain_net.named_modules()).get(part_layer)
        if not isinstance(layer, nn.Conv2d):
            refuse(NAME, f"part_layer={part_layer!r} is no convolution of the network")
        self.part_layer = part_layer
        self.parts = PartAttention(layer.out_channels, num_parts=num_parts)
        net: Any = domain_net
        self.part_classifier = nn.Linear(num_parts * net.num_features, net.num_classes)

    def fit_parts(self, *, seed: int = 0) -> Tensor:
        """The part of each filter of `part_layer`."""
        return self.parts.fit(self._layer.weight, seed=seed)

    def forward(self, patches: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.levels(patches, mask).scores

    def levels(self, patches: Tensor, mask: Tensor | None = None) -> Levels:
        """The scores, and what either level looked at."""
        net: Any = self.domain_net
        batch = patches.shape[:2]
        maps, excited = self._features(patches.flatten(0, 1))
        kept = self.keep(patches, mask)
        objects = net.forward_head(maps).softmax(1).unflatten(0, batch)
        object_scores = masked_mean(objects, kept)
        selected = self.parts.select(self.parts.scores(excited.unflatten(0, batch)), mask)
        pooled = net.forward_head(maps, pre_logits=True).unflatten(0, batch)
        parts = pooled.gather(1, selected.unsqueeze(-1).expand(-1, -1, pooled.shape[-1]))
        part_scores = self.part_classifier(parts.flatten(1)).softmax(1)
        scores = object_scores + self.alpha * part_scores
        return Levels(scores, object_scores, part_scores, kept, selected)

    @torch.no_grad()
    def keep(self, patches: Tensor, mask: Tensor | None = None) -> Tensor:
        """Object-level attention: the patches that show the object, bool (B, P)."""
        logits = self.filter_net(patches.flatten(0, 1)).unflatten(0, patches.shape[:2])
        return keep_patches(logits, self.parents, self.threshold, mask)

    @property
    def _layer(self) -> nn.Conv2d:
        layer = self.domain_net.get_submodule(self.part_layer)
        assert isinstance(layer, nn.Conv2d)
        return layer

    def _features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """DomainNet's features, and the activations of `part_layer` behind a ReLU."""
        caught: list[Tensor] = []
        net: Any = self.domain_net
        handle = self._layer.register_forward_hook(lambda *call: caught.append(call[2].relu()))
        try:
            maps = net.forward_features(images)
        finally:
            handle.remove()
        return maps, caught[0]


def keep_patches(
    logits: Tensor, parents: Sequence[int], threshold: float, mask: Tensor | None = None
) -> Tensor:
    """Patches whose probability of the parents reaches the threshold, else the best one.

    Args:
        logits: of FilterNet, (B, P, general classes). mask: bool (B, P), patches that exist.
    """
    share = logits.softmax(-1)[..., list(parents)].sum(-1)
    if mask is not None:
        share = share.masked_fill(~mask, -1)
    best = share == share.max(1, keepdim=True)[0]
    passed = share >= threshold
    kept = torch.where(passed.any(1, keepdim=True), passed, best)
    return kept if mask is None else kept & mask


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of values (B, P, K) over the patches of the mask (B, P)."""
    share = mask.unsqueeze(-1).to(values.dtype)
    return (values * share).sum(1) / share.sum(1).clamp_min(1)
