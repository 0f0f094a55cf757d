"""From the arguments of `create_model` to a plan: what is built, from which weights. No torch."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

from zoo.build.weights_choice import INSERTIONS, backbone_weights_of, told_of, weights_for
from zoo.errors import OptionError, UnknownNameError, UsageError
from zoo.registry import Registry, names
from zoo.registry.constructor import Constructor
from zoo.registry.specs import AttentionSpec, BackboneSpec, Form, ModelSpec, WeightsSpec
from zoo.registry.targets import resolve
from zoo.weights.model_file import Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A model before it is built.

    Attributes:
        name, tag: the canonical name, and the tag of the weights.
        spec: the spec of a named model.
        base: the spec of a backbone that a plugin adds.
        attention: the spec of what goes into `backbone`, if anything does.
        options: options of the backbone or of the target.
        weights: what will be loaded: a spec, the path of a user's file, or None.
        of_backbone: whether the weights are those of the plain backbone, into which the attention
            then goes.
        placed: where the attention was put, once it was.
        input: preprocessing settings that the file states.
        stated_name: the model that the file states.
        asked: names of the arguments that somebody stated. The tensors decide about the others.
    """

    name: str
    tag: str = ""
    spec: ModelSpec | None = None
    base: BackboneSpec | None = None
    attention: AttentionSpec | None = None
    backbone: str = ""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    attention_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sites: str | Sequence[str] | None = None
    insertion: Form = "plain"
    replace: bool = False
    weights: WeightsSpec | Path | None = None
    of_backbone: bool = False
    placed: tuple[str, ...] = ()
    input: Mapping[str, Any] = field(default_factory=dict[str, Any])
    stated_name: str = ""
    asked: frozenset[str] = frozenset()

    @property
    def warm(self) -> bool:
        """Whether the weights are those of the plain backbone, and an attention goes into it."""
        stated = isinstance(self.weights, WeightsSpec) and self.weights.kind == "warm_start"
        return stated or (self.of_backbone and self.attention is not None)


def make_plan(
    name: str,
    registry: Registry,
    *,
    pretrained: bool = False,
    weights: str | os.PathLike[str] | WeightsSpec | None = None,
    backbone_weights: str | os.PathLike[str] | None = None,
    **arguments: Any,
) -> Plan:
    """Decide what is built: resolve names, settings of authors, weights, and the form of insertion.

    Args:
        arguments: the other keywords of `create_model`. Where they say nothing, what a file or a
            repository of this very model states is taken.
    """
    if weights is not None and backbone_weights is not None:
        raise UsageError(
            "weights= and backbone_weights= both say what to load",
            remedy="weights= for a file of this model, backbone_weights= for one of its backbone",
        )
    told, stated = (None if weights is None else told_of(weights)), ""
    if told:
        stated = _stated_name(told.statement, registry)
        if stated == _composed(name, arguments.get("attention"), registry):
            arguments = {**told.statement.arguments, **arguments}
    plan = _planned(name, registry, **arguments)
    if backbone_weights is not None:
        chosen = backbone_weights_of(plan, backbone_weights)
        plan = changed(plan, weights=chosen, of_backbone=True)
    else:
        plan = changed(plan, weights=weights_for(plan, registry, pretrained, weights, told))
    if told:
        plan = changed(plan, input=told.statement.input, stated_name="" if told.weights else stated)
    _refuse_checkpoint(plan)
    form = plan.insertion if "insertion" in plan.asked else _default_form(plan)
    return changed(plan, insertion=form, options=_all_options(plan))  # pyright: ignore[reportArgumentType]


def _composed(name: str, attention: str | None, registry: Registry) -> str:
    """The canonical name of a model, of an attention and a backbone that are given apart too."""
    read = names.parse(name, registry)
    if attention and read.spec is None and read.attention is None:
        return f"{names.attention(attention, registry).name}_{read.backbone}"
    return read.name


def _stated_name(statement: Statement, registry: Registry) -> str:
    """The canonical name of the model that a file states; its own word, if there is none."""
    try:
        return _composed(statement.name, statement.arguments.get("attention"), registry)
    except UnknownNameError:
        return statement.name


def _planned(
    name: str,
    registry: Registry,
    *,
    attention: str | None = None,
    attention_options: Mapping[str, Any] | None = None,
    sites: str | Sequence[str] | None = None,
    insertion: str | None = None,
    replace: bool = False,
    **options: Any,
) -> Plan:
    """The parts of a model, without its weights."""
    if insertion is not None and insertion not in INSERTIONS:
        raise UsageError(f"insertion={insertion!r} is none of {', '.join(INSERTIONS)}")
    _check_kinds(attention_options, sites)
    asked = frozenset(options) | ({"insertion"} if insertion is not None else set())
    plan = _parts(name, registry, attention, dict(attention_options or {}), sites, options)
    if plan.attention is None:
        _refuse_without_attention(name, attention_options, sites, insertion, replace)
    if plan.backbone and not plan.base:
        plan = changed(plan, base=registry.backbones.get(plan.backbone))
    return changed(plan, replace=replace, insertion=insertion or "plain", asked=asked)  # pyright: ignore[reportArgumentType]


def _refuse_checkpoint(plan: Plan) -> None:
    """timm's `checkpoint_path` would fill the backbone before a plain attention goes into it.

    Networks of the zoo's own are not built by timm and do not have it.
    """
    if plan.spec and plan.spec.target and plan.options.get("checkpoint_path"):
        raise UsageError(
            "checkpoint_path= is for what timm builds",
            where=f"model {plan.name!r}",
            remedy="weights=FILE",
        )
    if plan.attention and plan.options.get("checkpoint_path") and "insertion" not in plan.asked:
        raise UsageError(
            f"checkpoint_path= loads the backbone alone, and {plan.attention.name} would move its "
            "logits",
            where=f"model {plan.name!r}",
            remedy="pretrained=True, backbone_weights=FILE for a file of the backbone, "
            "weights=FILE for one of this model",
        )


def _check_kinds(attention_options: object, sites: object) -> None:
    """Refuse what is neither a mapping of options nor paths of places."""
    if not isinstance(attention_options, Mapping | None):
        raise UsageError(
            f"attention_options={attention_options!r:.80} is not a mapping of options",
            remedy='attention_options={"reduction": 8}',
        )
    named = sites if isinstance(sites, list | tuple) else [sites or ""]
    if not named:
        raise UsageError(
            f"sites={sites!r} names no place", remedy="leave sites= out for the usual places"
        )
    if not all(isinstance(path, str) for path in named):
        raise UsageError(
            f"sites={sites!r:.80} is neither a string nor a list of strings",
            remedy='sites="stage", or sites=["layer3", "layer4"]',
        )


def _all_options(plan: Plan) -> dict[str, Any]:
    """The model's defaults, what its weights were trained with, and what is asked for."""
    own = plan.spec.defaults if plan.spec else {}
    trained = plan.weights.options if isinstance(plan.weights, WeightsSpec) else {}
    return {**own, **trained, **plan.options}


def _parts(
    name: str, registry: Registry, attention: str | None, attention_options: dict[str, Any],
    sites: Any, options: dict[str, Any],
) -> Plan:  # fmt: skip
    read = names.parse(name, registry)
    spec = read.spec
    mechanism = names.attention(attention, registry) if attention else read.attention
    named = read.attention.name if read.attention else (spec.attention if spec else "")
    if mechanism is not None and named not in ("", mechanism.name):
        raise UsageError(
            f"{name!r} already names an attention; attention={attention!r} is a second one",
            remedy=f'zoo.create_model("{read.backbone or (spec and spec.backbone)}", '
            f'attention="{attention}")',
        )
    if spec is None:
        composed = f"{mechanism.name}_{read.backbone}" if mechanism else read.name
        return Plan(
            name=composed, tag=read.tag, attention=mechanism, backbone=read.backbone,
            attention_options=attention_options, sites=sites, options=options,
        )  # fmt: skip
    return _named(spec, read.tag, registry, mechanism, attention_options, sites, options)


def _named(
    spec: ModelSpec, tag: str, registry: Registry, mechanism: AttentionSpec | None,
    attention_options: dict[str, Any], sites: Any, options: dict[str, Any],
) -> Plan:  # fmt: skip
    """A named model, after its `config` function has read the authors' settings."""
    read = _read_config(spec, registry, options)
    backbone = read.pop("backbone", spec.backbone)
    named = read.pop("attention", spec.attention)
    more = read.pop("attention_options", {})
    if backbone and not names.is_backbone(backbone, registry):
        raise OptionError(
            f"{spec.name} of these settings would need a backbone {backbone!r}, which is unknown",
            where=f"model {spec.name!r}",
        )
    return Plan(
        name=spec.name,
        tag=tag,
        spec=spec,
        attention=names.attention(named, registry) if named else mechanism,
        backbone=backbone,
        attention_options={**spec.attention_options, **more, **attention_options},
        sites=sites if sites is not None else read.pop("sites", spec.sites),
        options={**read, **options},
    )


def _read_config(spec: ModelSpec, registry: Registry, options: dict[str, Any]) -> dict[str, Any]:
    """Take the authors' settings out of `options` and return what they mean."""
    if not spec.config:
        return {}
    function = resolve(spec.config, registry.owner(spec))
    keys = inspect.signature(function).parameters.keys() & options.keys()
    settings = {key: options.pop(key) for key in keys}
    constructor = Constructor(function, "model", spec.name)
    return constructor.read(settings, lambda given: function(**given)) if settings else {}


def _refuse_without_attention(name: str, options: Any, sites: Any, form: Any, own: bool) -> None:
    given = {"attention_options": options, "sites": sites, "insertion": form, "replace": own}
    extra = [key for key, value in given.items() if value]
    if extra:
        raise UsageError(
            f"{name!r} has no attention that {', '.join(extra)} could be for",
            remedy=f'zoo.create_model("{name}", attention="cbam", {extra[0]}=...)',
        )


def _default_form(plan: Plan) -> Form:
    if plan.attention is None or plan.replace:
        return "plain"
    if plan.warm:
        return plan.attention.insertion.warm_form
    return plan.weights.insertion if isinstance(plan.weights, WeightsSpec) else "plain"
