"""Assembling a plan: build the backbone, load the weights, insert the attention."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo import hub
from zoo.build.attention import build_attention
from zoo.build.budget import Budget
from zoo.build.construct import PLACING, construct
from zoo.build.describe import completed, describe, set_traits
from zoo.build.init_mode import SkipInit
from zoo.build.plan import Plan
from zoo.build.remarks import other_weights, say_headless, say_other_model, say_reset, say_untrained
from zoo.errors import UsageError
from zoo.insertion import Target, insert
from zoo.insertion.mixers import folds, heard, needs_grid, on_tokens
from zoo.registry import Registry
from zoo.registry.constructor import option_names
from zoo.registry.options import check_names
from zoo.registry.specs import WeightsSpec
from zoo.registry.targets import resolve
from zoo.weights.load import load, named_as_in, read
from zoo.weights.tensor_facts import classes_of, classifier_names, form_of
from zoo.weights.timm_loading import Loading, State
from zoo.weights.verified_file import VerifiedFile


def assemble(plan: Plan, registry: Registry) -> nn.Module:
    """Build the model of a plan, with its weights.

    A new classifier is drawn from the global random state, so that two calls give two different
    ones. Nothing else moves that state: an untrained attention is drawn from a fork of it.
    """
    if plan.weights is None:
        model, _ = construct(plan, registry)
        return describe(model, _insert(plan, registry, model), None)
    with _open(plan.weights) as file:
        with torch.random.fork_rng(devices=_cuda(plan)):
            built = _fitting(plan, registry, file)
        model, plan = built.model, built.plan
        new = load(
            model, built.state, name=plan.name, config=built.config, where=str(file.path),
            remedy=other_weights(plan),
            strict=built.loading.strict or isinstance(plan.weights, Path),
        )  # fmt: skip
        say_other_model(plan, file)
        if new:
            say_reset(plan, model, file, built.config)
        if built.headless:
            say_headless(plan, file)
        if plan.warm:
            with torch.random.fork_rng(devices=_cuda(plan)):
                plan = _insert(plan, registry, model)
            say_untrained(plan, file, len(plan.placed))
        parts = {"classifier": new, "attention": plan.warm}
        return describe(model, plan, file, tuple(part for part, is_new in parts.items() if is_new))


def _open(weights: WeightsSpec | Path) -> AbstractContextManager[hub.VerifiedFile]:
    return hub.local_file(weights) if isinstance(weights, Path) else hub.fetch(weights)


def _cuda(plan: Plan) -> list[int]:
    """The CUDA device that the model is built on, whose random state is kept too."""
    device = torch.device(plan.options.get("device") or "cpu")
    if device.type != "cuda":
        return []
    return [torch.cuda.current_device() if device.index is None else device.index]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    """A model without weights, and the state that it is to take, under its names.

    `config` is what the state was made for, in timm's names.
    """

    model: nn.Module
    plan: Plan
    loading: Loading
    state: State
    config: dict[str, Any]

    @property
    def headless(self) -> bool:
        """Whether the model has no classifier because the file has none."""
        asked = "num_classes" in self.plan.asked or not isinstance(self.plan.weights, Path)
        return not asked and getattr(self.model, "num_classes", None) == 0


def _fitting(plan: Plan, registry: Registry, file: VerifiedFile) -> _Built:
    """The model that a file's tensors are of: what nobody has stated of it, they tell."""
    tensors = read(file)
    built = _build(plan, registry, tensors, file)
    told = _told_by(built)
    if not told:
        return built
    options = {**plan.options, **{k: v for k, v in told.items() if k == "num_classes"}}
    plan = changed(plan, options=options, insertion=told.get("insertion", plan.insertion))
    return _build(plan, registry, tensors, file)


def _build(plan: Plan, registry: Registry, tensors: State, file: VerifiedFile) -> _Built:
    with SkipInit(Budget.of_file(file)):
        model, loading = construct(plan, registry)
        placed = plan if plan.warm else _insert(plan, registry, model)
    state = named_as_in(model, tensors, loading, str(file.path))
    config = _weights_config(plan, model, state)
    return _Built(model=model, plan=placed, loading=loading, state=state, config=config)


def _told_by(built: _Built) -> dict[str, Any]:
    """What the tensors tell beyond what was asked for: the classes of a file, the form of both."""
    told: dict[str, Any] = {}
    plan, model = built.plan, built.model
    if isinstance(plan.weights, Path) and "num_classes" not in plan.asked:
        classes = built.config["num_classes"]
        if classes != getattr(model, "num_classes", classes):
            told["num_classes"] = classes
    if plan.attention and not plan.warm and not plan.replace and "insertion" not in plan.asked:
        form = form_of(built.state, model)
        if form not in (None, plan.insertion):
            told["insertion"] = form
    return told


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
    constructor = resolve(spec.target, registry.owner(spec))
    accepted = option_names(constructor)
    check_names(spec, constructor, options)
    where = {k: plan.options[k] for k in PLACING if plan.options.get(k) is not None}
    made: list[nn.Module] = []

    def build(channels: int, **more: Any) -> nn.Module:
        known = {k: v for k, v in heard(more, accepted).items() if k not in options}
        placed = {k: v for k, v in where.items() if k in accepted}
        made.append(build_attention(spec, registry, channels, {**placed, **known, **options}))
        return made[-1]

    target = Target(
        model=model, name=plan.backbone, in_chans=getattr(model, "in_chans", 3),
        img_size=_img_size(plan, model),
    )  # fmt: skip
    paths = insert(target, spec, build, sites=plan.sites, insertion=form, replace=plan.replace)
    for path in paths if where else ():  # the form around it too, and what takes no device
        model.get_submodule(path).to(**where)
    any_size = not folds(spec) and all(getattr(each, "any_size", False) for each in made)
    if needs_grid(spec) and not any_size:
        set_traits(model, img_size=target.img_size, fixed_input_size=True)
    return changed(plan, insertion=form, placed=tuple(paths))


def _img_size(plan: Plan, model: nn.Module) -> tuple[int, int]:
    """(H, W) that the model is built for."""
    size = plan.options.get("img_size")
    if size is None:
        size = (getattr(model, "pretrained_cfg", {}) or {}).get("input_size", (3, 224, 224))[1:]
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _weights_config(plan: Plan, model: nn.Module, state: State) -> dict[str, Any]:
    """timm's settings of the model, overridden by what is known of the weights."""
    config = {**(getattr(model, "pretrained_cfg", {}) or {}), **plan.input}
    config = completed(config, model)
    set_traits(model, first_conv=config["first_conv"])
    config["classifier"] = config.get("classifier") or classifier_names(model)
    if isinstance(plan.weights, WeightsSpec):
        config.update(plan.weights.input, num_classes=plan.weights.num_classes)
    else:
        classes = classes_of(state, model, config["classifier"])
        own = getattr(model, "num_classes", config.get("num_classes"))
        config["num_classes"] = own if classes is None else classes
    config["input_size"] = tuple(config.get("input_size") or (3, 224, 224))
    return config


def check_arguments(num_classes: object, in_chans: object, img_size: object = None) -> None:
    """Refuse a number of classes or channels, or a size of image, that cannot be."""
    for key, value, least in (("num_classes", num_classes, 0), ("in_chans", in_chans, 1)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 2**24:
            raise UsageError(f"{key}={value!r} is not a whole number of at least {least}")
    sides = img_size if isinstance(img_size, list | tuple) else (img_size, img_size)
    whole = all(isinstance(side, int) and side is not True and side > 0 for side in sides)
    if img_size is not None and (len(sides) != 2 or not whole):
        raise UsageError(f"img_size={img_size!r} is neither a side in pixels nor (height, width)")
