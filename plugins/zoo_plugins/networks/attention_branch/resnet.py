"""Attention branch networks (Fukui et al., CVPR 2019, arXiv 1812.10025): ResNets that show where.

    g = stages 1 to 3,   y, M, branch logits = AttentionBranch(g),   logits = head(stage 4 of y)

y = g (1 + M) is what stage 4 sees, and M (B, 1, H, W) is the explanation. The branch also
classifies, and its cross-entropy is added to the network's with equal weight
(`AttentionBranchLoss`). The branch's residual stage has the width and the blocks of stage 4, at
stride 1. It stands at the end of `layer3`, so that features and hooks see what stage 4 sees.

All but the branch has timm's names, so that it can start from a trained ResNet by
`model.load_state_dict(weights, strict=False)`. M has the size of stage 3's map: 14 x 14 for an
image of 224 x 224.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn

from zoo.errors import OptionError
from zoo.sdk import Count, NonNegativeFloat, OddInt, PositiveInt, Share
from zoo.training.objective import errors
from zoo_plugins.mechanisms.mixed.attention_branch import AttentionBranch
from zoo_plugins.networks.convnets.caffe import Depth, layers_of

BRANCH = "attention"


class Branched(NamedTuple):
    """logits (B, K), branch_logits (B, K), attention (B, 1, H, W)."""

    logits: Tensor
    branch_logits: Tensor
    attention: Tensor


class AttentionBranchResNet(ResNet):
    """timm's ResNet with an attention branch before the last stage.

    Args:
        depth: 18, 34, 50, 101 or 152.
        num_classes: K. branch_classes: of the branch, by default K (1000 where K is 0).
        kernel_size, residual: of the branch, see `AttentionBranch`.
        **options: of `timm.models.ResNet`.
    """

    __jit_unused_properties__ = ["branch", "_stage"]

    def __init__(
        self,
        depth: Depth = 50,
        num_classes: Count = 1000,
        branch_classes: PositiveInt | None = None,
        kernel_size: OddInt = 3,
        residual: bool = True,
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        layers, basic = layers_of(depth)
        block: Any = BasicBlock if basic else Bottleneck
        dd: Any = {"device": device, "dtype": dtype}
        super().__init__(block, layers, num_classes=num_classes, **options, **dd)
        self.branch_options: dict[str, Any] = {
            "channels": self.feature_info[-2]["num_chs"],
            "attention_channels": self.num_features,
            "num_blocks": layers[3],
            "block": "basic" if basic else "bottleneck",
            "kernel_size": kernel_size,
            "residual": residual,
        }
        classes = (num_classes or 1000) if branch_classes is None else branch_classes
        self._stage.add_module(BRANCH, self._new_branch(classes, **dd))

    @property
    def branch(self) -> AttentionBranch:
        """The attention branch, `layer3.attention`."""
        branch = self._stage.get_submodule(BRANCH)
        assert isinstance(branch, AttentionBranch)
        return branch

    def attend(self, images: Tensor) -> Branched:
        """Both classifications, and the attention."""
        x = images
        for name in ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2"):
            x = self.get_submodule(name)(x)
        for block in list(self._stage)[:-1]:
            x = block(x)
        x, attention, branch_logits = self.branch.attend(x)
        return Branched(
            self.forward_head(self.get_submodule("layer4")(x)), branch_logits, attention
        )

    def attention_maps(self, images: Tensor) -> dict[str, Tensor]:
        """For pictures: {"attention": (B, 1, H, W)}, from 0 to 1, of the size of stage 3's map."""
        return {"attention": self.attend(images).attention}

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new classifier, and a branch that classifies as many; 0 keeps the branch as it is."""
        super().reset_classifier(num_classes, global_pool)
        if num_classes:
            old, weight = self.branch, self.conv1.weight
            new = self._new_branch(num_classes, device=weight.device, dtype=weight.dtype)
            new.att_layer4, new.bn_att = old.att_layer4, old.bn_att
            self._stage.add_module(BRANCH, new.train(self.training))

    @property
    def _stage(self) -> nn.Sequential:
        stage = self.layer3
        assert isinstance(stage, nn.Sequential)
        return stage

    def _new_branch(self, classes: int, **dd: Any) -> AttentionBranch:
        branch = AttentionBranch(num_classes=classes, **self.branch_options, **dd)
        for module in branch.modules():
            if isinstance(module, nn.Conv2d):  # as timm starts the rest
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        return branch


class AttentionBranchLoss:
    """Cross-entropy of the network, and of its attention branch.

    Args:
        model: `abn_resnet50`, or another with `attend(images)` that gives logits, branch_logits.
        branch_weight: of the second term, 1 as in the authors' code.
        label_smoothing: of both.
    """

    calls = "attend"

    def __init__(
        self,
        model: nn.Module,
        *,
        branch_weight: NonNegativeFloat = 1.0,
        label_smoothing: Share = 0.0,
    ) -> None:
        if not isinstance(model, AttentionBranchResNet):
            raise OptionError(f"{type(model).__name__} has no attention branch", where="objective")
        self.model, self.attend = model, model.attend
        self.weight, self.smoothing = branch_weight, label_smoothing

    def __call__(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        found = self.attend(images)
        loss, branch = (
            F.cross_entropy(logits, targets, label_smoothing=self.smoothing)
            for logits in (found.logits, found.branch_logits)
        )
        scalars = {
            "train_error": 100 * errors(found.logits, targets) / len(targets),
            "branch_error": 100 * errors(found.branch_logits, targets) / len(targets),
        }
        return loss + self.weight * branch, scalars

    def wrong(self, model: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """How many images the network, and the branch alone, do not give their class."""
        assert isinstance(model, AttentionBranchResNet)
        with torch.no_grad():
            found = model.attend(images)
        return {
            "val_error": errors(found.logits, targets),
            "val_error_branch": errors(found.branch_logits, targets),
        }
