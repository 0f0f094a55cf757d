"""Listings: names by pattern, without torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from zoo import names, timm_index
from zoo.errors import UsageError
from zoo.registry import Registry, default_registry
from zoo.specs import MAPS, AttentionSpec, WeightsSpec


def list_models(
    pattern: str = "*", *, pretrained: bool = False, family: str = "", composed: bool = False
) -> list[str]:
    """Names of models that match a shell `pattern`, sorted.

    Args:
        pattern: as in a shell, `"*cbam*"`.
        pretrained: only those with weights to load (bundled, published or warm start).
        family: only models of that family.
        composed: also every attention in every backbone of timm (tens of thousands of names).
    """
    registry = default_registry()
    found = {n for n, spec in registry.models.items() if family in ("", spec.family)}
    if composed:
        mixes = (a for a in registry.attentions.values() if goes_into_backbones(a))
        found |= {f"{a.name}_{b}" for a in mixes for b in _backbones(registry, pretrained)}
    if pretrained:
        found = {n for n in found if n not in registry.models or _has_weights(registry, n)}
    return sorted(n for n in found if matches(n, pattern))


def list_attentions(
    pattern: str = "*", *, family: str = "", contract: str = "", kind: str = ""
) -> list[str]:
    """Names of attention mechanisms that match, sorted; an alias matches for its mechanism."""
    registry = default_registry()
    return sorted(
        spec.name
        for spec in registry.attentions.values()
        if any(matches(n, pattern) for n in (spec.name, *spec.aliases))
        and family in ("", spec.family)
        and contract in ("", spec.contract)
        and kind in ("", spec.kind)
    )


def list_backbones(pattern: str = "*", *, pretrained: bool = False) -> list[str]:
    """Names of backbones (timm's and plugins') that match, sorted."""
    return sorted(n for n in _backbones(default_registry(), pretrained) if matches(n, pattern))


def model_info(name: str) -> dict[str, Any]:
    """What is known of a model without building it: parts, paper, weights, settings.

    The result is plain data that `json` can write. Raises as `create_model` for a wrong name.
    """
    registry = default_registry()
    read = names.parse(name, registry)
    spec = read.spec
    attention = read.attention
    if spec is not None and spec.attention:
        attention = names.attention(spec.attention, registry)
    paper = (spec.paper if spec else None) or (attention.paper if attention else None)
    return {
        "name": read.name,
        "family": spec.family if spec else (attention.family if attention else "timm"),
        "kind": spec.kind if spec else (attention.kind if attention else "soft"),
        "attention": attention.name if attention else None,
        "backbone": (spec.backbone if spec else read.backbone) or None,
        "target": (spec.target if spec else "") or None,
        "options": dict(spec.defaults) if spec else {},
        "paper": _paper(paper),
        "verified": (spec.verified if spec else "") or (attention.verified if attention else ""),
        "notes": spec.notes if spec else "",
        "weights": [_weights(w) for w in weights_of(read.name, registry)],
    }


def attention_info(name: str) -> dict[str, Any]:
    """What a spec states of an attention, as plain data."""
    registry = default_registry()
    spec = names.attention(name, registry)
    keys = (
        "name", "aliases", "family", "kind", "contract", "role", "placement", "default_sites",
        "quadratic",
        "identity", "variants", "license", "reference", "verified", "notes", "target",
    )  # fmt: skip
    info = {key: getattr(spec, key) for key in keys}
    return {**info, "paper": _paper(spec.paper), "plugin": registry.owner(spec)}


def weights_of(model: str, registry: Registry) -> list[WeightsSpec]:
    """Stated weights of a model, the default first."""
    found = [w for (name, _), w in registry.weights.items() if name == model]
    return sorted(found, key=lambda w: not w.default)


def matches(name: str, pattern: str) -> bool:
    """Whether a name is of a shell's pattern."""
    if not isinstance(pattern, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"a pattern is a string, not {pattern!r:.80}", remedy='"*cbam*"')
    return fnmatchcase(name, pattern)


def goes_into_backbones(spec: AttentionSpec) -> bool:
    """Whether `<attention>_<backbone>` makes sense for this mechanism."""
    contracts = ("tokens",) if spec.role == "replace_mixer" else MAPS
    return spec.role != "none" and spec.contract in contracts


def _has_weights(registry: Registry, name: str) -> bool:
    if any(w.kind != "unpublished" for w in weights_of(name, registry)):
        return True
    spec = registry.models.get(name)
    return bool(spec and spec.backbone and timm_index.architectures().get(spec.backbone))


def _backbones(registry: Registry, pretrained: bool) -> Iterable[str]:
    index = timm_index.architectures()
    own = [n for n in registry.backbones if not pretrained or _has_weights(registry, n)]
    return [n for n in index if index[n] or not pretrained] + own


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
