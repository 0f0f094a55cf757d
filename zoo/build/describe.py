"""What a built model says of itself: timm's `pretrained_cfg`, and the zoo's own record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timm.models import get_model_traits
from torch import nn

from zoo.build.plan import Plan
from zoo.hub import VerifiedFile
from zoo.insertion.refine import PLACEMENTS
from zoo.registry.specs import WeightsSpec
from zoo.runtime.model_record import ModelRecord
from zoo.weights.tensor_facts import classifier_names


def describe(
    model: nn.Module, plan: Plan, file: VerifiedFile | None, untrained: tuple[str, ...] = ()
) -> nn.Module:
    """Leave on the model what it is, in timm's form and in the zoo's."""
    config = completed(dict(getattr(model, "pretrained_cfg", {}) or {}), model)
    weights = plan.weights if isinstance(plan.weights, WeightsSpec) else None
    if weights is not None:
        config.update(
            weights.input, num_classes=weights.num_classes, tag=weights.tag,
            license=weights.license or None, hf_hub_id=weights.repository or None,
        )  # fmt: skip
    elif file is not None:
        config.update(plan.input, num_classes=getattr(model, "num_classes", None))
    size = plan.options.get("img_size")
    if size is not None and config.get("input_size"):
        height, width = (size, size) if isinstance(size, int) else size
        config["input_size"] = (config["input_size"][0], height, width)
    if get_model_traits(model).get("fixed_input_size"):
        config["fixed_input_size"] = True
    if plan.attention is not None or plan.spec is not None:
        config |= {"architecture": plan.name, "url": ""}
        config.setdefault("hf_hub_id", None)
        if weights is None:  # what timm states is of the plain backbone
            config |= {"hf_hub_id": None, "tag": None, "license": None}
    vars(model).update(
        pretrained_cfg=config,
        default_cfg=config,
        zoo=_record(plan, file.record() if file is not None else {}, untrained),
    )
    return model


def _record(plan: Plan, weights: Mapping[str, Any], untrained: tuple[str, ...]) -> ModelRecord:
    """What rebuilds the model, as plain data, and what its weights are."""
    options = {k: v for k, v in plan.options.items() if k not in ("device", "dtype")}
    known: dict[str, Any] = {"name": _name(plan), "options": options, "weights": weights}
    if plan.attention is None:
        return ModelRecord(**known, untrained=untrained)
    placed = plan.sites if isinstance(plan.sites, str) and plan.sites in PLACEMENTS else ""
    return ModelRecord(
        **known, untrained=untrained, backbone=plan.backbone, attention=plan.attention.name,
        attention_options=dict(plan.attention_options), sites=list(plan.placed), placement=placed,
        insertion=plan.insertion, replace=plan.replace,
    )  # fmt: skip


def _name(plan: Plan) -> str:
    """The model's name; the backbone's, where settings chose another than the named model has."""
    named = plan.spec is None or plan.backbone == plan.spec.backbone
    return plan.name if named or not plan.backbone else plan.backbone


def completed(config: dict[str, Any], model: nn.Module) -> dict[str, Any]:
    """timm's settings, with the first convolution and the classifier found where not stated."""
    if not config.get("first_conv"):
        channels = getattr(model, "in_chans", 3)
        found = (n for n, m in model.named_modules() if _is_convolution(m, channels))
        config["first_conv"] = next(found, None)
    if not config.get("classifier"):
        config["classifier"] = next(iter(classifier_names(model)), None)
    return config


def set_traits(model: nn.Module, **traits: Any) -> None:
    """State what timm reads off the model before its settings: sizes, the first convolution."""
    vars(model)["_traits"] = {**getattr(model, "_traits", {}), **traits}


def _is_convolution(module: nn.Module, channels: int) -> bool:
    return isinstance(module, nn.Conv2d) and module.in_channels == channels
