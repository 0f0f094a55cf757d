"""A plan becomes a model: build the backbone, load, insert, in the order that the weights ask."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace as changed
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import build_model_with_cfg, get_pretrained_cfg
from torch import nn

from zoo import hub
from zoo.budget import Budget
from zoo.describe import describe
from zoo.errors import OptionError, UsageError, ZooError
from zoo.init_mode import SkipInit
from zoo.insertion import Target, insert
from zoo.insertion.mixers import HINTS, on_tokens
from zoo.mechanisms import build_attention, check_options, option_names
from zoo.plan import Plan
from zoo.registry import Registry
from zoo.specs import WeightsSpec
from zoo.targets import resolve
from zoo.weights import load

log = logging.getLogger("zoo")


def assemble(plan: Plan, registry: Registry) -> nn.Module:
    """Build the model of a plan, with its weights.

    Loading never moves the global random state: what it leaves to chance (a new classifier, the
    inner weights of an untrained attention) is drawn from a fork of it.
    """
    if plan.weights is None:
        model = _construct(plan, registry)
        return describe(model, _insert(plan, registry, model), None)
    with torch.random.fork_rng(devices=[]), _open(plan.weights) as file:
        with SkipInit(Budget.of_file(file)):
            model = _construct(plan, registry)
            plan = plan if plan.warm else _insert(plan, registry, model)
        config = _weights_config(plan, model)
        load(model, file, name=plan.name, config=config, architecture=_architecture(plan))
        if plan.warm:
            plan = _insert(plan, registry, model)
            _say_untrained(plan, len(vars(model)["zoo_sites"]))
        return describe(model, plan, file)


def _open(weights: WeightsSpec | Path) -> AbstractContextManager[hub.VerifiedFile]:
    return hub.local_file(weights) if isinstance(weights, Path) else hub.fetch(weights)


def _construct(plan: Plan, registry: Registry) -> nn.Module:
    """The backbone, or the named model, without attention and without weights."""
    spec = plan.base or (plan.spec if plan.spec and plan.spec.target else None)
    if spec is None or (plan.backbone and not plan.base):
        name = f"{plan.backbone}.{plan.tag}" if _is_timm_tag(plan) else plan.backbone
        build = partial(timm.create_model, name, pretrained=False)
        return _call(build, plan.backbone, _timm_options(plan))
    target = resolve(spec.target, registry.owner(spec))
    config = {"architecture": spec.name, **_target_config(plan)}
    # Where the target takes no size, only the attention that goes into it does.
    for_attention = () if "img_size" in option_names(target) else ("img_size",)
    build = partial(
        build_model_with_cfg, target, spec.name, False, pretrained_cfg=config,
        kwargs_filter=for_attention,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    return _call(build, spec.name, {**getattr(spec, "defaults", {}), **plan.options})


def _timm_options(plan: Plan) -> Mapping[str, Any]:
    """The backbone's options: `img_size` is only for the attention where the backbone takes any."""
    config = get_pretrained_cfg(plan.backbone, allow_unregistered=True)
    if config is not None and config.fixed_input_size:
        return plan.options
    return {key: value for key, value in plan.options.items() if key != "img_size"}


def _is_timm_tag(plan: Plan) -> bool:
    from zoo import timm_index

    return plan.tag in timm_index.architectures().get(plan.backbone, ())


def _target_config(plan: Plan) -> dict[str, Any]:
    settings: dict[str, Any] = dict(plan.spec.input) if plan.spec else {}
    if "num_classes" in plan.options:
        settings.setdefault("num_classes", plan.options["num_classes"])
    if isinstance(plan.weights, WeightsSpec):
        settings.update(plan.weights.input, num_classes=plan.weights.num_classes)
    return settings


def _call(build: Any, name: str, options: Mapping[str, Any]) -> nn.Module:
    """Run a constructor that may be anyone's; its complaints become an `OptionError`."""
    try:
        return build(**options)
    except ZooError:
        raise
    except TypeError as error:
        found = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if found is None:
            raise _refused(name, options, error) from error
        raise OptionError(
            f"{name} has no option {found[1]!r}", where=f"model {name!r}", remedy=_accepts(error)
        ) from error
    except (ValueError, AssertionError, RuntimeError, KeyError, AttributeError, IndexError,
            ZeroDivisionError, OverflowError) as error:  # fmt: skip
        raise _refused(name, options, error) from error


def _accepts(error: TypeError) -> str:
    """What the constructor that complained would have taken, read off its last frame."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    found = re.match(r"(\w+)\.__init__\(\)", str(error))
    cls = frame.tb_frame.f_globals.get(found[1]) if frame is not None and found else None
    if cls is None:
        cls = frame.tb_frame.f_locals.get("model_cls") if frame is not None else None
    names = option_names(cls) - {"device", "dtype"} if cls is not None else ()
    return f"it accepts {', '.join(sorted(names))}" if names else ""


def _refused(name: str, options: Mapping[str, Any], error: Exception) -> OptionError:
    shown = ", ".join(f"{key}={value!r}" for key, value in options.items())
    text = str(error) or type(error).__name__
    return OptionError(f"{name} cannot be built: {text}", where=f"{name}({shown})")


def _insert(plan: Plan, registry: Registry, model: nn.Module) -> Plan:
    """Put the plan's attention in, keep the paths on the model; the plan says in which form."""
    spec = plan.attention
    if spec is None:
        return plan
    spec = on_tokens(spec, resolve(spec.target, registry.owner(spec)), model)
    form = plan.insertion
    if form == "exact" and spec is not plan.attention:
        form = "residual"  # on tokens it stands beside an attention, not alone
    options = plan.attention_options
    accepted = option_names(resolve(spec.target, registry.owner(spec)))
    check_options(spec, options, accepted)

    def build(channels: int, **more: Any) -> nn.Module:
        unheard = {name for name in HINTS if accepted and name not in accepted}
        known = {k: v for k, v in more.items() if k not in options and k not in unheard}
        return build_attention(spec, registry, channels, {**known, **options})

    target = Target(
        model=model, name=plan.backbone, in_chans=getattr(model, "in_chans", 3),
        img_size=_img_size(plan, model),
    )  # fmt: skip
    paths = insert(target, spec, build, sites=plan.sites, insertion=form, replace=plan.replace)
    vars(model)["zoo_sites"] = paths
    return changed(plan, insertion=form)


def _img_size(plan: Plan, model: nn.Module) -> tuple[int, int]:
    """(H, W) that the model is built for."""
    size = plan.options.get("img_size")
    if size is None:
        size = (getattr(model, "pretrained_cfg", {}) or {}).get("input_size", (3, 224, 224))[1:]
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _architecture(plan: Plan) -> str:
    return "" if plan.base or (plan.spec and plan.spec.target) else plan.backbone


def _weights_config(plan: Plan, model: nn.Module) -> dict[str, Any]:
    """timm's settings of the model, overridden by what is stated of the weights."""
    config = dict(getattr(model, "pretrained_cfg", {}) or {})
    if isinstance(plan.weights, WeightsSpec):
        config.update(plan.weights.input, num_classes=plan.weights.num_classes)
    else:
        config["num_classes"] = None  # the file tells
    config["input_size"] = tuple(config.get("input_size") or (3, 224, 224))
    return config


def _say_untrained(plan: Plan, count: int) -> None:
    assert plan.attention is not None and isinstance(plan.weights, WeightsSpec)
    claim = (
        "no accuracy is claimed"
        if plan.insertion == "plain"
        else f"started so that the logits are those of {plan.backbone}.{plan.weights.tag}"
    )
    log.warning(
        "%s: the weights are those of %s; the attention (%s, at %d sites) is untrained, %s",
        plan.name, plan.weights.repository, plan.attention.name, count, claim,
    )  # fmt: skip


def check_arguments(num_classes: object, in_chans: object) -> None:
    """Refuse a number of classes or channels that cannot be."""
    for key, value, least in (("num_classes", num_classes, 0), ("in_chans", in_chans, 1)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 2**24:
            raise UsageError(f"{key}={value!r} is not a whole number of at least {least}")
