"""Listings of names, and what is known of a name. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from zoo.errors import UsageError
from zoo.registry import Registry, default_registry, names, timm_index
from zoo.registry.recorded_costs import recorded_cost
from zoo.registry.specs import MAPS, AttentionSpec, WeightsSpec
from zoo.registry.summary import summary


def list_models(
    pattern: str = "*", *, pretrained: bool = False, family: str = "", composed: bool = False
) -> list[str]:
    """The names of models that match a pattern, sorted.

    Args:
        pattern: a pattern as in a shell, such as `"*cbam*"`.
        pretrained: only models with weights that were trained as a whole, bundled or published.
            Other models start warm from the weights of their backbone; `model_info` says from
            which.
        family: only models of that family.
        composed: also every attention in every backbone, which gives tens of thousands of names.
    """
    registry = default_registry()
    found = {n for n, spec in registry.models.items() if family in ("", spec.family)}
    if composed:
        mixes = (a for a in registry.attentions.values() if goes_into_backbones(a))
        found |= {f"{a.name}_{b}" for a in mixes for b in _backbones(registry)}
    if pretrained:
        found &= _trained(registry)
    return sorted(n for n in found if matches(n, pattern))


def list_attentions(
    pattern: str = "*", *, family: str = "", contract: str = "", kind: str = ""
) -> list[str]:
    """The names of attention mechanisms that match, sorted. An alias matches for its mechanism."""
    registry = default_registry()
    return sorted(
        spec.name
        for spec in registry.attentions.values()
        if any(matches(n, pattern) for n in (spec.name, *spec.aliases, *spec.shared_names))
        and family in ("", spec.family)
        and contract in ("", spec.contract)
        and kind in ("", spec.kind)
    )


def list_backbones(pattern: str = "*", *, pretrained: bool = False) -> list[str]:
    """The names of backbones, of timm and of plugins, that match, sorted."""
    registry, index = default_registry(), timm_index.architectures()
    found = _backbones(registry)
    if pretrained:
        trained = _trained(registry)
        found = (n for n in found if index.get(n) or n in trained)
    return sorted(n for n in found if matches(n, pattern))


def list_recipes(pattern: str = "*") -> list[str]:
    """The names of training recipes, of the zoo and of plugins, that match, sorted.

    `zoo train NAME` trains by one, and `zoo.load_recipe(name)` reads it.
    """
    return sorted(n for n in default_registry().recipes if matches(n, pattern))


def model_info(name: str) -> dict[str, Any]:
    """What is known of a model without building it: its parts, paper, weights and settings.

    The result is plain data that `json` can write. A wrong name raises as in `create_model`.
    """
    registry = default_registry()
    read = names.parse(name, registry)
    spec = read.spec
    attention = read.attention
    if spec is not None and spec.attention:
        attention = names.attention(spec.attention, registry)
    provenances = [stated.provenance for stated in (spec, attention) if stated is not None]
    backbone = spec.backbone if spec else read.backbone
    weights = weights_of(read.name, registry)
    return {
        "name": read.name,
        "family": spec.family if spec else (attention.family if attention else "timm"),
        "kind": spec.kind if spec else (attention.kind if attention else "soft"),
        "attention": attention.name if attention else None,
        "backbone": backbone or None,
        "target": (spec.target if spec else "") or None,
        "options": dict(spec.defaults) if spec else {},
        "paper": next((_paper(p.paper) for p in provenances if p.paper), None),
        "verified": next((p.verified for p in provenances if p.verified), ""),
        "notes": spec.provenance.notes if spec else "",
        "cost": recorded_cost(spec, registry) if spec else None,
        "weights": [_weights(w) for w in weights],
        "warm_start": _warm_start(backbone, weights) if attention else None,
    }


def attention_info(name: str) -> dict[str, Any]:
    """What the spec of an attention states, as plain data."""
    registry = default_registry()
    spec = names.attention(name, registry)
    insertion, provenance = spec.insertion, spec.provenance
    return {
        **_fields(spec, "name", "aliases", "family", "kind", "contract"),
        **_fields(insertion, "role", "placement", "default_sites", "quadratic", "identity"),
        **_fields(provenance, "license", "reference", "verified", "notes"),
        "summary": summary_of(spec, registry),
        "cost": recorded_cost(spec, registry),
        "target": spec.target,
        "paper": _paper(provenance.paper),
        "plugin": registry.owner(spec),
    }


def _fields(record: object, *names: str) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names}


def summary_of(spec: AttentionSpec, registry: Registry) -> str:
    """What a mechanism is, in one line. It is read from the docstrings in the source, without
    importing it.
    """
    module = spec.target.partition(":")[0] + ":"
    same = [s for s in registry.attentions.values() if s.target.startswith(module)]
    return summary(spec.target, alone=len(same) == 1)


def families(*, attentions: bool = False) -> list[str]:
    """The families of all models, or of all attentions."""
    registry = default_registry()
    specs = registry.attentions if attentions else registry.models
    return sorted({spec.family for spec in specs.values()})


def weights_of(model: str, registry: Registry) -> list[WeightsSpec]:
    """The weights that are stated for a model, the default first."""
    found = [w for (name, _), w in registry.weights.items() if name == model]
    return sorted(found, key=lambda w: not w.default)


def taken(stated: Sequence[WeightsSpec], tag: str = "") -> list[WeightsSpec]:
    """Of the weights stated for a model, those of a tag. Without a tag the default alone, since the
    others may be of other data; all, where none is the default. Of a model of timm that has weights
    none, since timm's own are the default.
    """
    if tag:
        return [w for w in stated if w.tag == tag]
    of_timm = any(timm_index.architectures().get(w.model) for w in stated)
    return [w for w in stated if w.default] or ([] if of_timm else list(stated))


def matches(name: str, pattern: str) -> bool:
    """Whether a name matches a pattern as in a shell."""
    if not isinstance(pattern, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"a pattern is a string, not {pattern!r:.80}", remedy='"*cbam*"')
    return fnmatchcase(name, pattern)


def goes_into_backbones(spec: AttentionSpec) -> bool:
    """Whether `<attention>_<backbone>` makes sense for this mechanism."""
    contracts = ("tokens",) if spec.insertion.role == "replace_mixer" else MAPS
    return spec.insertion.role not in ("none", "gate_skip") and spec.contract in contracts


def _trained(registry: Registry) -> set[str]:
    """Models whose name alone has weights that were trained as a whole and can be had."""
    stated = {w.model: taken(weights_of(w.model, registry)) for w in registry.weights.values()}
    whole = ("bundled", "published")
    return {model for model, found in stated.items() if any(w.kind in whole for w in found)}


def _backbones(registry: Registry) -> Iterable[str]:
    return [*timm_index.architectures(), *registry.backbones]


def _warm_start(backbone: str, weights: Iterable[WeightsSpec]) -> Mapping[str, str] | None:
    """What `pretrained=True` loads of a model that has no trained weights of its own."""
    tags = timm_index.architectures().get(backbone)
    if not tags or any(w.kind != "unpublished" for w in weights):
        return None
    return {"weights": f"{backbone}.{tags[0]}", "attention": "untrained, no accuracy is claimed"}


def _paper(paper: Any) -> Mapping[str, Any] | None:
    if paper is None:
        return None
    return {k: getattr(paper, k) for k in ("title", "authors", "venue", "year", "url")}


def _weights(w: WeightsSpec) -> Mapping[str, Any]:
    keys = (
        "tag", "kind", "default", "repository", "revision", "sha256", "num_classes", "insertion",
        "dataset", "metrics", "data", "license", "recipe", "notes",
    )  # fmt: skip
    return {key: getattr(w, key) for key in keys}
