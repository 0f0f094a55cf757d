"""Supervised attention (Zhu, Qian, Wang, Liu, IEEE SPL 2020, doi 10.1109/LSP.2020.3024794).

An attention branch that must itself tell identities apart, trained first on the dense, easy part of
the data and then on easy and harder samples together (CE-SAN, for person re-identification).

    y, M, att_logits = AttentionBranch(x),    logits = W mean_hw(y)
    stage 1:  L = att_weight CE(att_logits) + CE(logits)
    stage 2:  L = w1 L_easy + w2 L_hard,      L_i = CE(att_logits_i) + CE(logits_i)

In stage 2 a batch is `subset_batch` easy samples followed by the others; att_weight has no part.

Only the losses were to be read, in a repository that bears the paper's title and whose model files
are not public. Its trainer calls the network by the interface of the attention branch network
(CVPR 2019), whose branch is therefore taken for the head. Left out, since nothing determines them:
the subsets (clusters by density, made outside the network) and a third stage with part branches.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import UsageError
from zoo.sdk import NonNegativeFloat, OddInt, PositiveInt, refuse
from zoo.sdk.inputs import check_shape
from zoo_plugins.mechanisms.mixed.attention_branch import AttentionBranch

NAME = "supervised_attention"


class Attended(NamedTuple):
    """att_logits (B, K), logits (B, K), attention (B, 1, H, W), in the trainer's order."""

    att_logits: Tensor
    logits: Tensor
    attention: Tensor


class SupervisedAttentionHead(nn.Module):
    """x (B, C, H, W) -> logits (B, K); `attend(x)` gives those of the branch and the map too.

    Args:
        channels: C. num_classes: K. branch: options of `AttentionBranch`.
    """

    def __init__(self, channels: int, num_classes: int, **branch: Any) -> None:
        super().__init__()
        dd: Any = {key: branch.get(key) for key in ("device", "dtype")}
        self.branch = AttentionBranch(channels, num_classes=num_classes, **branch)
        self.classifier = nn.Linear(channels, num_classes, **dd)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.branch(x).mean((2, 3)))

    def attend(self, x: Tensor) -> Attended:
        """Both classifications, and the attention."""
        y, attention, att_logits = self.branch.attend(x)
        return Attended(att_logits, self.classifier(y.mean((2, 3))), attention)


class SupervisedAttentionLoss(nn.Module):
    """(att_logits (B, K), logits (B, K), labels (B,)) -> the loss of a stage.

    Args:
        stage: 1 or 2.
        num_classes: K, which the logits are checked for if it is given.
        att_weight: of the branch in stage 1.
        w1, w2: of the two subsets in stage 2.
        subset_batch: how many samples of a batch in stage 2 are of the first subset; half of them
            by default.
    """

    def __init__(
        self,
        stage: Literal[1, 2] = 1,
        num_classes: int | None = None,
        att_weight: float = 1.0,
        subset_batch: int | None = None,
        w1: float = 1.0,
        w2: float = 1.0,
    ) -> None:
        super().__init__()
        self.stage, self.num_classes, self.subset_batch = stage, num_classes, subset_batch
        self.att_weight, self.w1, self.w2 = att_weight, w1, w2

    def forward(self, att_logits: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        return self.terms(att_logits, logits, labels)["loss"]

    def terms(self, att_logits: Tensor, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The loss and its unweighted terms: att_loss and per_loss, or loss_1 and loss_2."""
        for name, given in (("att_logits", att_logits), ("logits", logits)):
            check_shape(NAME, name, given, (len(labels), self.num_classes or "K"))
        if self.stage == 1:
            att, per = F.cross_entropy(att_logits, labels), F.cross_entropy(logits, labels)
            return {"loss": self.att_weight * att + per, "att_loss": att, "per_loss": per}
        first, second = (
            F.cross_entropy(att_logits[part], labels[part])
            + F.cross_entropy(logits[part], labels[part])
            for part in self._subsets(len(labels))
        )
        return {"loss": self.w1 * first + self.w2 * second, "loss_1": first, "loss_2": second}

    def _subsets(self, batch: int) -> tuple[slice, slice]:
        easy = batch // 2 if self.subset_batch is None else self.subset_batch
        if not 0 < easy < batch:
            raise UsageError(
                f"{easy} of {batch} samples are of the first subset, which leaves one empty",
                where=f"attention {NAME!r}",
                remedy="a batch of subset_batch= easy samples, followed by others",
            )
        return slice(easy), slice(easy, None)


def supervised_attention(
    channels: PositiveInt | None = None,
    *,
    part: Literal["head", "loss"] = "head",
    num_classes: PositiveInt = 751,
    attention_channels: PositiveInt | None = None,
    num_blocks: PositiveInt = 1,
    block: Literal["basic", "bottleneck"] = "basic",
    kernel_size: OddInt = 3,
    residual: bool = True,
    stage: Literal[1, 2] = 1,
    att_weight: NonNegativeFloat = 1.0,
    subset_batch: PositiveInt | None = None,
    w1: NonNegativeFloat = 1.0,
    w2: NonNegativeFloat = 1.0,
    device: Any = None,
    dtype: Any = None,
) -> SupervisedAttentionHead | SupervisedAttentionLoss:
    """The head of the network, or its loss.

    Args:
        channels: C of the map that the head takes.
        part: `head` or `loss`.
        num_classes: K, 751: the identities that Market-1501 has for training.
        attention_channels, num_blocks, block, kernel_size, residual: of the head's
            `AttentionBranch`.
        stage, att_weight, subset_batch, w1, w2: of the loss.
    """
    if part == "loss":
        return SupervisedAttentionLoss(stage, num_classes, att_weight, subset_batch, w1, w2)
    if channels is None:
        refuse(NAME, "the head needs channels=", "channels=2048")
    return SupervisedAttentionHead(
        channels,
        num_classes,
        attention_channels=attention_channels,
        num_blocks=num_blocks,
        block=block,
        kernel_size=kernel_size,
        residual=residual,
        device=device,
        dtype=dtype,
    )


def reference_call(
    module: SupervisedAttentionLoss, att_logits: Tensor, logits: Tensor, labels: Tensor
) -> dict[str, Tensor]:
    """What a reference case records."""
    return module.terms(att_logits, logits, labels)
