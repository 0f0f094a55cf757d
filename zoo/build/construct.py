"""The network of a plan, without attention and without weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import timm
from timm.models import build_model_with_cfg, get_pretrained_cfg, is_model, model_entrypoint
from torch import nn

from zoo.build.call import call, no_option
from zoo.build.plan import Plan
from zoo.registry import Registry, timm_index
from zoo.registry.constructor import (
    Constructor,
    default_values,
    named_options,
    option_names,
)
from zoo.registry.specs import BackboneSpec, ModelSpec, WeightsSpec
from zoo.registry.targets import resolve
from zoo.weights import timm_loading
from zoo.weights.timm_loading import Loading

USUAL_SIZE = (224, 224)  # timm's, of a model that states none
PLACING = ("device", "dtype")  # options that say where the model is, not what it is
_OF_TIMM_S_BUILDER = named_options(build_model_with_cfg) - {
    "model_cls", "variant", "pretrained", "pretrained_cfg",
}  # fmt: skip


def construct(plan: Plan, registry: Registry) -> tuple[nn.Module, Loading]:
    """The backbone or the named model of a plan, and how timm would load a file of it.

    Raises:
        OptionError: an option is unknown, of another type or out of range, or the constructor
            refuses the options together.
    """
    spec = plan.base or (plan.spec if plan.spec and plan.spec.target else None)
    if spec is None or (plan.backbone and not plan.base):
        return _of_timm(plan, registry)
    return _of_target(spec, plan, registry), Loading()


def _of_timm(plan: Plan, registry: Registry) -> tuple[nn.Module, Loading]:
    name = f"{plan.backbone}.{tag}" if (tag := _timm_tag(plan)) else plan.backbone
    entry = model_entrypoint(plan.backbone) if is_model(plan.backbone) else timm.create_model
    constructor = Constructor(entry, "model", plan.backbone)
    options, meant = _timm_options(plan), _meant(plan, registry)
    if plan.weights is None:
        create = partial(timm.create_model, name)
        return call(constructor, options, create, meant), Loading()
    return call(constructor, options, partial(timm_loading.create, name), meant)


def _of_target(spec: BackboneSpec | ModelSpec, plan: Plan, registry: Registry) -> nn.Module:
    target = resolve(spec.target, registry.owner(spec))
    kind = "backbone" if isinstance(spec, BackboneSpec) else "model"
    constructor = Constructor(target, kind, spec.name)
    options, where = _target_options(spec, plan, target)
    meant = _meant(plan, registry)
    if unknown := constructor.unknown(options.keys() - _OF_TIMM_S_BUILDER):
        raise no_option(constructor, unknown, meant)
    config = {"architecture": spec.name, **_target_config(spec, plan, target)}
    build = partial(
        build_model_with_cfg, target, spec.name, False, pretrained_cfg=config,
        kwargs_filter=() if _takes_size(target) else ("img_size",),  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    return call(constructor, constructor.checked(options), build, meant).to(**where)


def _target_options(
    spec: BackboneSpec | ModelSpec, plan: Plan, target: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the target is given, and where the model goes if the target does not say.

    `img_size` is only for the attention that goes into it, where the target takes no size.
    """
    accepted = option_names(target)
    options = {**spec.defaults, **plan.options}
    if not _takes_size(target):
        options.pop("img_size", None)
    where = {k: options.pop(k) for k in PLACING if k in options and accepted and k not in accepted}
    return options, where


def _takes_size(target: Any) -> bool:
    return "img_size" in option_names(target)


def _meant(plan: Plan, registry: Registry) -> str:
    """The call that was meant, where an option is the attention's and not the backbone's."""
    if plan.attention is None:
        return ""
    accepted = option_names(resolve(plan.attention.target, registry.owner(plan.attention)))
    meant = {key: value for key, value in plan.options.items() if key in accepted}
    return f'zoo.create_model("{plan.name}", attention_options={meant!r})' if meant else ""


def _timm_options(plan: Plan) -> Mapping[str, Any]:
    """The backbone's options: `img_size` is only for the attention where the backbone takes any."""
    options = dict(plan.options)
    if isinstance(plan.weights, WeightsSpec):
        options.setdefault("num_classes", plan.weights.num_classes)
    config = get_pretrained_cfg(plan.backbone, allow_unregistered=True)
    if config is None or not config.fixed_input_size:
        options.pop("img_size", None)
    return options


def _timm_tag(plan: Plan) -> str:
    """timm's tag of the weights, of which its settings of the model are."""
    tags = timm_index.architectures().get(plan.backbone, ())
    stated = plan.weights.tag if isinstance(plan.weights, WeightsSpec) else ""
    return next((tag for tag in (plan.tag, stated) if tag in tags), "")


def _target_config(spec: BackboneSpec | ModelSpec, plan: Plan, target: Any) -> dict[str, Any]:
    """timm's settings of the model. timm would give 1000 classes and 3 channels to a constructor
    of other defaults, unless the settings say so. Its channels are those that it has unless others
    are asked for, since its weights are of these.
    """
    own = {**default_values(target), **spec.defaults}
    settings: dict[str, Any] = dict(plan.spec.input) if plan.spec else {}
    classes = plan.options.get("num_classes", own.get("num_classes"))
    if isinstance(classes, int):
        settings.setdefault("num_classes", classes)
    if isinstance(own.get("in_chans"), int):
        settings.setdefault("input_size", (own["in_chans"], *USUAL_SIZE))
    if isinstance(plan.weights, WeightsSpec):
        settings.update(plan.weights.input, num_classes=plan.weights.num_classes)
    return settings
