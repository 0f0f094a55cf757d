"""Reading the names of models.

A name is that of a named model, of a backbone, or `<attention>_<backbone>`; each may be followed by
`.<tag>`, which chooses the weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from zoo.errors import AmbiguousNameError, UnknownNameError
from zoo.registry import Registry, timm_index
from zoo.registry.specs import AttentionSpec, ModelSpec

LONGEST = 200  # letters of a name; beyond, looking for the closest names takes too long


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelName:
    """What a name means: a named model, which has a `spec`, or an `attention` (or none) in a
    `backbone`.
    """

    name: str
    tag: str = ""
    spec: ModelSpec | None = None
    attention: AttentionSpec | None = None
    backbone: str = ""


def parse(name: str, registry: Registry) -> ModelName:
    """Read a name as a named model, else as a backbone, else as an attention and a backbone.

    A name that timm uses itself, such as `eca_resnet33ts`, keeps timm's meaning. Capitals and
    hyphens are read as small letters and underscores: `CBAM-ResNet50` is `cbam_resnet50`.

    Raises:
        UnknownNameError: there is no such name; the message has the closest ones.
        AmbiguousNameError: there are several readings; the message has all of them.
    """
    _check_text("model", name)
    base, _, tag = name.partition(".")
    found = _read(base, tag, registry) or _read(_plain(base), tag, registry)
    if found is None:
        raise _unknown_model(base, registry)
    return found


def _read(base: str, tag: str, registry: Registry) -> ModelName | None:
    spec = registry.models.get(registry.model_aliases.get(base, base))
    if spec is not None:
        return ModelName(name=spec.name, tag=tag, spec=spec)
    if is_backbone(base, registry):
        return ModelName(name=base, tag=tag, backbone=backbone_name(base, registry))
    splits = _splits(base, registry)
    if len(splits) > 1:
        readings = " or ".join(f"{a.name} in {b}" for a, b in splits)
        attention, backbone = splits[0]
        raise AmbiguousNameError(
            f"{base!r} can be read as {readings}",
            remedy=f'zoo.create_model("{backbone}", attention="{attention.name}")',
        )
    for attention, backbone in splits:
        name = f"{attention.name}_{backbone}"
        return ModelName(name=name, tag=tag, attention=attention, backbone=backbone)
    return None


def attention(name: str, registry: Registry) -> AttentionSpec:
    """The spec of the attention with that name or alias.

    Raises:
        UnknownNameError: there is none; the message has the closest names.
        AmbiguousNameError: several papers have the name; the message has all mechanisms.
    """
    _check_text("attention", name)
    for read in (name, _plain(name)):
        spec = registry.attentions.get(registry.aliases.get(read, read))
        if spec is not None:
            return spec
    sharing = _sharing(_plain(name), registry)
    if len(sharing) > 1:
        raise AmbiguousNameError(
            f"{name!r} is the name of {' and '.join(map(_published, sharing))}",
            remedy=" or ".join(repr(spec.name) for spec in sharing),
        )
    if sharing:
        return sharing[0]
    known = (*registry.attentions, *registry.aliases)
    raise UnknownNameError(
        f"there is no attention {name!r}{did_you_mean(name, known)}",
        remedy="zoo list --attentions",
    )


def _sharing(name: str, registry: Registry) -> list[AttentionSpec]:
    """The attentions that have the name, but not alone."""
    return [spec for spec in registry.attentions.values() if name in spec.shared_names]


def _published(spec: AttentionSpec) -> str:
    paper = spec.provenance.paper
    return f"{spec.name} ({paper.title})" if paper is not None else spec.name


def unknown(name: str, registry: Registry) -> UnknownNameError:
    """The error for a name that is neither that of a model nor that of an attention."""
    known = (*registry.attentions, *registry.aliases, *_candidates(name, registry))
    return UnknownNameError(
        f"there is no model and no attention {name!r}{did_you_mean(name, known)}",
        remedy="zoo list, zoo list --attentions, or zoo list --backbones",
    )


def _check_text(what: str, name: object) -> None:
    article = "an" if what == "attention" else "a"
    if not isinstance(name, str):
        raise UnknownNameError(f"{article} {what}'s name is a string, not {name!r:.80}")
    if len(name) > LONGEST:
        raise UnknownNameError(f"there is no {what} of {len(name)} letters: {name[:40]!r}...")


def is_backbone(name: str, registry: Registry) -> bool:
    """Whether timm or a plugin has a backbone of that name."""
    return name in timm_index.architectures() or bool(_plugin_backbone(name, registry))


def backbone_name(name: str, registry: Registry) -> str:
    """The canonical name of a backbone given by name or alias."""
    return _plugin_backbone(name, registry) or name


def _plugin_backbone(name: str, registry: Registry) -> str:
    for spec in registry.backbones.values():
        if name == spec.name or name in spec.aliases:
            return spec.name
    return ""


def _splits(name: str, registry: Registry) -> list[tuple[AttentionSpec, str]]:
    """Every (attention, backbone) that `name` can be read as, the longest attention first."""
    found: dict[tuple[str, str], AttentionSpec] = {}
    prefixes = {n: n for n in registry.attentions} | dict(registry.aliases)
    for prefix in sorted(prefixes, key=len, reverse=True):
        rest = name.removeprefix(f"{prefix}_")
        if rest != name and is_backbone(rest, registry):
            spec = registry.attentions[prefixes[prefix]]
            found[spec.name, backbone_name(rest, registry)] = spec
    for spec in registry.attentions.values():
        for prefix in spec.shared_names:
            rest = name.removeprefix(f"{prefix}_")
            if rest != name and is_backbone(rest, registry):
                found[spec.name, backbone_name(rest, registry)] = spec
    return [(spec, backbone) for (_, backbone), spec in found.items()]


def _unknown_model(name: str, registry: Registry) -> UnknownNameError:
    return UnknownNameError(
        f"there is no model {name!r}{did_you_mean(name, _candidates(name, registry))}",
        remedy="zoo list, or zoo list --backbones",
    )


def _candidates(name: str, registry: Registry) -> list[str]:
    """Names near `name`: models, backbones, and compositions with one part mended."""
    name = _plain(name)
    backbones = [*timm_index.architectures(), *registry.backbones]
    prefixes = [*registry.attentions, *registry.aliases]
    near = [*registry.models, *registry.model_aliases, *get_close_matches(name, backbones, 3)]
    for prefix in prefixes:
        if name.startswith(f"{prefix}_"):
            rest = name.removeprefix(f"{prefix}_")
            near += [f"{prefix}_{b}" for b in get_close_matches(rest, backbones, 3, 0.7)]
    for cut in (i for i, letter in enumerate(name) if letter == "_"):
        head, rest = name[:cut], name[cut + 1 :]
        if is_backbone(rest, registry):
            near += [f"{a}_{rest}" for a in get_close_matches(head, prefixes, 3, 0.5)]
    return near


def _plain(name: str) -> str:
    """As names are written: lower case, underscores."""
    return name.strip().lower().replace("-", "_")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The words `; did you mean ...?` with the closest known names; empty if none is close."""
    close = get_close_matches(_plain(name), list(dict.fromkeys(known)), 3, 0.6)
    return f"; did you mean {', '.join(close)}?" if close else ""
