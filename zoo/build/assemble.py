"""A plan becomes a model: build the backbone, load, insert, in the order that the weights ask."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from dataclasses import replace as changed
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import build_model_with_cfg, get_pretrained_cfg
from torch import nn

from zoo import hub
from zoo.build.attention import build_attention
from zoo.build.budget import Budget
from zoo.build.describe import completed, describe, set_traits
from zoo.build.init_mode import SkipInit
from zoo.build.plan import Plan
from zoo.build.remarks import other_weights, say_headless, say_other_model, say_reset, say_untrained
from zoo.errors import OptionError, UsageError, ZooError
from zoo.insertion import Target, insert
from zoo.insertion.mixers import HINTS, on_tokens
from zoo.registry import Registry, timm_index
from zoo.registry.options import check_names, option_names
from zoo.registry.specs import WeightsSpec
from zoo.registry.targets import resolve
from zoo.weights import timm_loading
from zoo.weights.load import load, named_as_in, read
from zoo.weights.tensor_facts import classes_of, classifier_names, form_of
from zoo.weights.timm_loading import Loading, State
from zoo.weights.verified_file import VerifiedFile

PLACING = ("device", "dtype")  # options that say where the model is, not what it is


def assemble(plan: Plan, registry: Registry) -> nn.Module:
    """Build the model of a plan, with its weights.

    A new classifier is drawn from the global random state, so that two calls give two of them.
    Nothing else moves it: an untrained attention is drawn from a fork.
    """
    if plan.weights is None:
        model, _ = _construct(plan, registry)
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
        model, loading = _construct(plan, registry)
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


def _construct(plan: Plan, registry: Registry) -> tuple[nn.Module, Loading]:
    """The backbone, or the named model, without attention and without weights.

    With it, how timm would load a file of it.
    """
    spec = plan.base or (plan.spec if plan.spec and plan.spec.target else None)
    if spec is None or (plan.backbone and not plan.base):
        name = f"{plan.backbone}.{tag}" if (tag := _timm_tag(plan)) else plan.backbone
        options, hint = _timm_options(plan), _hint(plan, registry)
        if plan.weights is None:
            return _call(partial(timm.create_model, name), plan.backbone, options, hint), Loading()
        return _call(partial(timm_loading.create, name), plan.backbone, options, hint)
    target = resolve(spec.target, registry.owner(spec))
    config = {"architecture": spec.name, **_target_config(plan)}
    # Where the target takes no size, only the attention that goes into it does.
    for_attention = () if "img_size" in option_names(target) else ("img_size",)
    build = partial(
        build_model_with_cfg, target, spec.name, False, pretrained_cfg=config,
        kwargs_filter=for_attention,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    options = {**getattr(spec, "defaults", {}), **plan.options}
    accepted = option_names(target)
    where = {k: options.pop(k) for k in PLACING if k in options and accepted and k not in accepted}
    return _call(build, spec.name, options, _hint(plan, registry)).to(**where), Loading()


def _hint(plan: Plan, registry: Registry) -> str:
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


def _target_config(plan: Plan) -> dict[str, Any]:
    settings: dict[str, Any] = dict(plan.spec.input) if plan.spec else {}
    if "num_classes" in plan.options:
        settings.setdefault("num_classes", plan.options["num_classes"])
    if isinstance(plan.weights, WeightsSpec):
        settings.update(plan.weights.input, num_classes=plan.weights.num_classes)
    return settings


def _call(build: Any, name: str, options: Mapping[str, Any], hint: str = "") -> Any:
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
            f"{name} has no option {found[1]!r}",
            where=f"model {name!r}",
            remedy=hint if f"{found[1]!r}:" in hint else _accepts(error),
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
    constructor = resolve(spec.target, registry.owner(spec))
    accepted = option_names(constructor)
    check_names(spec, constructor, options)
    where = {k: plan.options[k] for k in PLACING if plan.options.get(k) is not None}
    made: list[nn.Module] = []

    def build(channels: int, **more: Any) -> nn.Module:
        unheard = {name for name in HINTS if accepted and name not in accepted}
        known = {k: v for k, v in more.items() if k not in options and k not in unheard}
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
    if spec.insertion.needs_size and not all(getattr(each, "any_size", False) for each in made):
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


def check_arguments(num_classes: object, in_chans: object) -> None:
    """Refuse a number of classes or channels that cannot be."""
    for key, value, least in (("num_classes", num_classes, 0), ("in_chans", in_chans, 1)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 2**24:
            raise UsageError(f"{key}={value!r} is not a whole number of at least {least}")
