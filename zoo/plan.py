"""From the arguments of `create_model` to a plan: what to build, from which weights. No torch."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

from zoo import names, timm_index
from zoo.catalogue import weights_of
from zoo.errors import ConfigError, OptionError, UsageError, WeightsNotFoundError
from zoo.registry import Registry
from zoo.specs import AttentionSpec, BackboneSpec, Insertion, ModelSpec, WeightsSpec
from zoo.targets import resolve

INSERTIONS = ("plain", "exact", "residual")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A model before it is built.

    Attributes:
        name, tag: canonical.
        spec: of a named model. base: of a backbone that a plugin adds.
        attention: what goes into `backbone`, if anything.
        options: of the backbone or the target.
        weights: what will be loaded, or a path to a user's file, or None.
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
    insertion: Insertion = "plain"
    replace: bool = False
    weights: WeightsSpec | Path | None = None

    @property
    def warm(self) -> bool:
        """Whether the weights are the plain backbone's."""
        return isinstance(self.weights, WeightsSpec) and self.weights.kind == "warm_start"


def make_plan(
    name: str,
    registry: Registry,
    *,
    pretrained: bool = False,
    weights: str | os.PathLike[str] | WeightsSpec | None = None,
    attention: str | None = None,
    attention_options: Mapping[str, Any] | None = None,
    sites: str | Sequence[str] | None = None,
    insertion: str | None = None,
    replace: bool = False,
    **options: Any,
) -> Plan:
    """Resolve names, the authors' settings, weights and the form of insertion."""
    if insertion is not None and insertion not in INSERTIONS:
        raise UsageError(f"insertion={insertion!r} is none of {', '.join(INSERTIONS)}")
    plan = _parts(name, registry, attention, dict(attention_options or {}), sites, options)
    if plan.attention is None:
        _refuse_without_attention(name, attention_options, sites, insertion, replace)
    if plan.backbone and not plan.base:
        plan = changed(plan, base=registry.backbones.get(plan.backbone))
    plan = changed(plan, replace=replace, weights=_weights(plan, registry, pretrained, weights))
    form = insertion or _default_form(plan)
    return changed(plan, insertion=form, options=_all_options(plan))  # pyright: ignore[reportArgumentType]


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
    return dict(function(**{key: options.pop(key) for key in keys})) if keys else {}


def _refuse_without_attention(name: str, options: Any, sites: Any, form: Any, own: bool) -> None:
    given = {"attention_options": options, "sites": sites, "insertion": form, "replace": own}
    extra = [key for key, value in given.items() if value]
    if extra:
        raise UsageError(
            f"{name!r} has no attention that {', '.join(extra)} could be for",
            remedy=f'zoo.create_model("{name}", attention="cbam", {extra[0]}=...)',
        )


def _weights(
    plan: Plan, registry: Registry, pretrained: bool,
    asked: str | os.PathLike[str] | WeightsSpec | None,
) -> WeightsSpec | Path | None:  # fmt: skip
    if isinstance(asked, WeightsSpec):
        return asked
    if asked is None and not pretrained:
        return None
    if asked is not None and _is_path(asked):
        return Path(asked)
    if isinstance(asked, str) and asked.startswith("hf-hub:"):
        return open_hub_model(asked)[2]
    tag = str(asked or plan.tag)
    stated = weights_of(plan.name, registry)
    if plan.spec is not None and plan.backbone != plan.spec.backbone:
        stated = []
    wanted = [w for w in stated if tag in ("", w.tag)]
    for spec in wanted:
        if spec.kind != "unpublished":
            return spec
    return _warm_start(plan, tag, wanted or stated)


def _warm_start(plan: Plan, tag: str, stated: Sequence[WeightsSpec]) -> WeightsSpec:
    """The plain backbone's own weights, for a composition; else there are none."""
    if not plan.backbone or plan.base or tag not in ("", *_tags(plan.backbone)):
        raise _no_weights(plan, tag, stated)
    if not _tags(plan.backbone):
        raise _no_weights(plan, tag, stated)
    from zoo.hub import timm_weights

    spec = timm_weights(plan.backbone, tag)
    if plan.attention is None:
        return spec
    return changed(spec, model=plan.name, kind="warm_start", metrics={})


def _no_weights(plan: Plan, tag: str, stated: Sequence[WeightsSpec]) -> WeightsNotFoundError:
    """`stated` are the weights of that tag, or if there are none, of any."""
    what = f"{plan.name}.{tag}" if tag else plan.name
    if any(tag in ("", w.tag) for w in stated):
        recipe = stated[0].recipe
        return WeightsNotFoundError(
            f"the weights {what} are not published",
            remedy=f"zoo train {recipe}" if recipe else "pretrained=False, and train it",
        )
    tags = [w.tag for w in stated if w.kind != "unpublished"]
    known = ", ".join(dict.fromkeys((*tags, *_tags(plan.backbone)))) if tag else ""
    return WeightsNotFoundError(
        f"there are no weights {what}" if tag else f"{what} has no weights",
        remedy=f"one of the tags {known}" if known else "pretrained=False, and train it",
    )


def _tags(backbone: str) -> tuple[str, ...]:
    return timm_index.architectures().get(backbone, ())


def open_hub_model(reference: str) -> tuple[str, dict[str, Any], WeightsSpec, int]:
    """`hf-hub:org/name@revision`: the name it states, keywords of `create_model`, its weights.

    Last, the size of its largest file, which bounds what the keywords may ask for.
    """
    from zoo.hub import open_repository

    config, spec = open_repository(reference)
    arguments = {"num_classes": config.num_classes, **config.model_args}
    insertion = arguments.get("insertion", "plain")
    if insertion not in INSERTIONS:
        raise ConfigError(
            f"insertion={insertion!r} is none of {', '.join(INSERTIONS)}", where=reference
        )
    weights = changed(spec, insertion=insertion)
    return config.architecture, arguments, weights, config.largest_file


def _is_path(asked: str | os.PathLike[str]) -> bool:
    return isinstance(asked, os.PathLike) or asked.endswith(".safetensors") or Path(asked).is_file()


def _default_form(plan: Plan) -> Insertion:
    if plan.attention is None or plan.replace:
        return "plain"
    if plan.warm:
        return "residual" if plan.attention.role == "replace_conv" else plan.attention.identity
    return plan.weights.insertion if isinstance(plan.weights, WeightsSpec) else "plain"
