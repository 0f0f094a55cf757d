"""What a built model says of itself, in timm's form (`pretrained_cfg`) and in the zoo's."""

from __future__ import annotations

from typing import Any

from torch import nn

from zoo.plan import Plan
from zoo.specs import WeightsSpec
from zoo.verified_file import VerifiedFile
from zoo.weights import classifier_names


def describe(model: nn.Module, plan: Plan, file: VerifiedFile | None) -> nn.Module:
    """Leave on the model what it is, in timm's form and in the zoo's."""
    config = _completed(dict(getattr(model, "pretrained_cfg", {}) or {}), model)
    weights = plan.weights if isinstance(plan.weights, WeightsSpec) else None
    if weights is not None:
        config.update(
            weights.input, num_classes=weights.num_classes, tag=weights.tag,
            license=weights.license or None, hf_hub_id=weights.repository or None,
        )  # fmt: skip
    size = plan.options.get("img_size")
    if size is not None and config.get("input_size"):
        height, width = (size, size) if isinstance(size, int) else size
        config["input_size"] = (config["input_size"][0], height, width)
    if plan.attention is not None or plan.spec is not None:
        config |= {"architecture": plan.name, "url": ""}
        config.setdefault("hf_hub_id", None)
        if weights is None:  # what timm states is of the plain backbone
            config |= {"hf_hub_id": None, "tag": None, "license": None}
    vars(model).update(
        pretrained_cfg=config,
        default_cfg=config,
        zoo_config=_config(plan, getattr(model, "zoo_sites", [])),
        zoo_weights=file.record() if file is not None else {},
    )
    return model


def _config(plan: Plan, sites: list[str]) -> dict[str, Any]:
    """What rebuilds the model: keywords of `create_model`, as plain data."""
    config: dict[str, Any] = {"name": plan.name, "options": dict(plan.options)}
    if plan.attention is not None:
        config |= {
            "backbone": plan.backbone, "attention": plan.attention.name,
            "attention_options": dict(plan.attention_options), "sites": sites,
            "insertion": plan.insertion, "replace": plan.replace,
        }  # fmt: skip
    return config


def _completed(config: dict[str, Any], model: nn.Module) -> dict[str, Any]:
    """timm's settings, with the first convolution and the classifier found where not stated."""
    if not config.get("first_conv"):
        channels = getattr(model, "in_chans", 3)
        found = (n for n, m in model.named_modules() if _is_convolution(m, channels))
        config["first_conv"] = next(found, None)
    if not config.get("classifier"):
        config["classifier"] = next(iter(classifier_names(model)), None)
    return config


def _is_convolution(module: nn.Module, channels: int) -> bool:
    return isinstance(module, nn.Conv2d) and module.in_channels == channels
