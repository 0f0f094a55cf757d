"""Which weights a call means: a tag, a file, a repository, or those of the plain backbone. No
torch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from zoo.errors import ConfigError, UsageError, WeightsNotFoundError
from zoo.registry import Registry, timm_index
from zoo.registry.catalogue import taken, weights_of
from zoo.registry.specs import Form, WeightsSpec
from zoo.weights.model_file import Statement, read_statement

if TYPE_CHECKING:
    from zoo.build.plan import Plan

INSERTIONS = get_args(Form)


@dataclass(frozen=True, slots=True)
class Told:
    """What a file or a repository says of the weights that were asked for."""

    statement: Statement
    weights: WeightsSpec | None = None


def told_of(asked: str | os.PathLike[str] | WeightsSpec) -> Told | None:
    """What a file or a repository says of its model; None for a tag, or if nothing is said."""
    if isinstance(asked, WeightsSpec):
        return None
    if is_path(asked):
        statement = read_statement(asked)
        return Told(statement) if statement else None
    if isinstance(asked, str) and asked.startswith("hf-hub:"):
        name, arguments, weights, _ = open_hub_model(asked)
        base = name.partition(".")[0]
        return Told(Statement(name=base, arguments=arguments, input=weights.input), weights)
    return None


def weights_for(
    plan: Plan, registry: Registry, pretrained: bool,
    asked: str | os.PathLike[str] | WeightsSpec | None, told: Told | None,
) -> WeightsSpec | Path | None:  # fmt: skip
    """The weights that `weights=` and `pretrained=` ask for: stated ones, or the backbone's own."""
    if isinstance(asked, WeightsSpec):
        return asked
    if asked is None and not pretrained:
        return None
    if asked is not None and is_path(asked):
        return Path(asked)
    if told and told.weights:
        return told.weights
    tag = str(asked or plan.tag)
    stated = weights_of(plan.name, registry)
    if plan.spec is not None and plan.backbone != plan.spec.backbone:
        stated = []
    wanted = taken(stated, tag)
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
    """Open `hf-hub:org/name@revision`: the name it states, keywords of `create_model`, its weights.

    The last item is the size of its largest file, which bounds what the keywords may ask for.
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


def is_path(asked: str | os.PathLike[str]) -> bool:
    return isinstance(asked, os.PathLike) or asked.endswith(".safetensors") or Path(asked).is_file()


def backbone_weights_of(plan: Plan, asked: str | os.PathLike[str]) -> WeightsSpec | Path:
    """The weights of the plain backbone that the user names by a file, a repository or a tag."""
    if not plan.backbone:
        raise UsageError(
            f"{plan.name} has no backbone that backbone_weights= could be for",
            remedy=f'zoo.create_model("{plan.name}", weights=FILE)',
        )
    if is_path(asked):
        return Path(asked)
    if str(asked).startswith("hf-hub:"):
        return open_hub_model(str(asked))[2]
    return _warm_start(plan, str(asked), ())
