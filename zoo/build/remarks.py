"""What must be said of a model's weights, so that nothing untrained is taken for trained."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from torch import nn

from zoo.build.plan import Plan
from zoo.errors import WeightsMismatchError
from zoo.hub import VerifiedFile
from zoo.registry.specs import WeightsSpec
from zoo.runtime.model_record import record_of

log = logging.getLogger("zoo")


def source_of(file: VerifiedFile) -> str:
    """The repository, or the name of the file, that weights came from."""
    return file.repository or file.path.name


def other_weights(plan: Plan) -> str:
    """What to try when the tensors of a file are not those of the model."""
    if plan.stated_name and plan.stated_name != plan.name:
        return f'zoo.create_model("{plan.stated_name}", weights=FILE): that is what the file states'
    same = "the model that the file was saved from, with the same options"
    if plan.attention is None or plan.warm:
        return same
    return f"{same}; backbone_weights=FILE for a file of the plain {plan.backbone}"


def say_other_model(plan: Plan, file: VerifiedFile) -> None:
    """Say that the file names another model than the one that is built, though its tensors fit."""
    if plan.stated_name and plan.stated_name != plan.name:
        log.warning(
            "%s: %s says that it is of %s; its tensors fit and are taken, its options are not",
            plan.name, source_of(file), plan.stated_name,
        )  # fmt: skip


def say_reset(plan: Plan, model: nn.Module, file: VerifiedFile, config: Mapping[str, Any]) -> None:
    """Say that the classifier starts anew."""
    log.warning(
        "%s: the classifier, of %s classes, is new and untrained; that of %s has %s",
        plan.name, getattr(model, "num_classes", "?"), source_of(file), config["num_classes"],
    )  # fmt: skip


def say_headless(plan: Plan, file: VerifiedFile) -> None:
    """Say that the file has no classifier, so that the model has none either."""
    log.warning(
        "%s: %s has no classifier, and neither has the model (num_classes=0)",
        plan.name, source_of(file),
    )  # fmt: skip


def say_untrained(plan: Plan, file: VerifiedFile, count: int) -> None:
    """Say that the attention starts anew, at `count` sites."""
    assert plan.attention is not None
    stated = f"{plan.backbone}.{plan.weights.tag}" if isinstance(plan.weights, WeightsSpec) else ""
    claim = (
        "no accuracy is claimed"
        if plan.insertion == "plain"
        else f"started so that the logits are those of {stated or plan.backbone}"
    )
    log.warning(
        "%s: the weights are those of %s; the attention (%s, at %d sites) is untrained, %s",
        plan.name, source_of(file), plan.attention.name, count, claim,
    )  # fmt: skip


def refuse_reset(model: nn.Module, name: str, purpose: str) -> None:
    """Raise where a classifier that no weights defined would be taken for a trained one.

    Args:
        purpose: what is refused: `measured` or `published`.
    """
    record = record_of(model)
    if record is not None and "classifier" in record.untrained:
        raise WeightsMismatchError(
            f"the classifier of {name} is new: the weights have another number of classes than "
            f"{getattr(model, 'num_classes', 'asked for')}, so it cannot be {purpose}",
            remedy="leave --num-classes out to take that of the weights, or train the model first",
        )
