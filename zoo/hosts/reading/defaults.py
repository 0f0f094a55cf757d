"""Where a mechanism goes in a host whose places nobody names."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from zoo.errors import IncompatibleBackboneError, UsageError
from zoo.hosts.planning import softmax
from zoo.hosts.reading import families
from zoo.hosts.reading.survey import Survey
from zoo.hosts.reading.where import Told, layout_of
from zoo.insertion.families import conv_sites
from zoo.insertion.sites import MAX_POSITIONS, in_last_stage, stage_infos
from zoo.registry.specs import MAPS, AttentionSpec


def paths(survey: Survey, spec: AttentionSpec) -> list[str]:
    """Paths of blocks, ends of stages, convolutions or softmax attentions, as its role asks.

    Raises:
        IncompatibleBackboneError: none are known, or all are too large for a quadratic cost.
    """
    found = [path for path in _candidates(survey, spec) if survey.outputs(path)]
    if not found:
        raise IncompatibleBackboneError(
            f"no default places for {spec.name} are known in {type(survey.model).__name__}",
            remedy="at=[...]; zoo.list_sites(model, example) lists places",
        )
    return affordable(survey, spec, found)


def affordable(survey: Survey, spec: AttentionSpec, found: Sequence[str]) -> list[str]:
    """Without the places where a quadratic mechanism would be too costly. Raises as `paths`."""
    if not spec.insertion.quadratic:
        return list(found)
    kept = [path for path in found if _positions(survey, path) <= MAX_POSITIONS]
    if not kept:
        raise IncompatibleBackboneError(
            f"every place has more than {MAX_POSITIONS} positions, and the cost of {spec.name} "
            "grows with their square",
            remedy="name places with at=[...], or give a smaller example",
        )
    return kept


def _candidates(survey: Survey, spec: AttentionSpec) -> list[str]:
    last = spec.insertion.default_sites == "last_stage"
    if spec.insertion.role == "replace_conv":
        return _convolutions(survey, last)
    if spec.insertion.role == "replace_mixer":
        return softmax.understood(survey.model)
    return _by_placement(survey, spec, last)


def _convolutions(survey: Survey, last: bool) -> list[str]:
    """The spatial convolution of each block; with `last`, of those of the last stage."""
    known = [site for site, _ in conv_sites(survey.model)]
    if known:
        staged = last and stage_infos(survey.model)
        return [s.path for s in (in_last_stage(survey.model, known) if staged else known)]
    blocks = _blocks(survey, last)
    found = families.spatial_convolutions(survey.model)
    return [path for path in found if any(path.startswith(f"{block}.") for block in blocks)]


def _by_placement(survey: Survey, spec: AttentionSpec, last: bool) -> list[str]:
    """Each block, or the end of each stage; all of them, or those of the last stage."""
    if spec.insertion.placement == "block":
        return _blocks(survey, last)
    blocks = _blocks(survey, False)
    ends = families.stages(survey, blocks)
    if spec.insertion.placement == "between_stages" and len(ends) > 1:
        ends = ends[:-1]
    ends = ends[-1:] if last else ends
    return _where_patches_are_read(survey, blocks, ends) if spec.contract in MAPS else ends


def _where_patches_are_read(survey: Survey, blocks: list[str], ends: list[str]) -> list[str]:
    """The ends of stages, but for the last block where a class token comes before the patches: only
    that token is read of it, so that what is done to its patches would have no effect.
    """
    if len(blocks) < 2 or blocks[-1] not in ends or not _prefix(survey, blocks[-1]):
        return ends
    return list(dict.fromkeys(blocks[-2] if end == blocks[-1] else end for end in ends))


def _prefix(survey: Survey, path: str) -> int:
    """How many tokens come before the patches that the module gives, as far as that is known."""
    try:
        return layout_of(survey, path, Told(), on_map=False)[1].prefix
    except (IncompatibleBackboneError, UsageError):  # of which the plan for the place will tell
        return 0


def _blocks(survey: Survey, last: bool) -> list[str]:
    found = [path for path in families.blocks(survey.model) if survey.outputs(path)]
    if not last:
        return found
    ends = families.stages(survey, found)[:-1]
    after = [i for i, path in enumerate(found) if path in ends]
    return found[after[-1] + 1 :] if after else found


def _positions(survey: Survey, path: str) -> int:
    """Of the map or the tokens that the module gives; 0 where that is not known."""
    if not survey.outputs(path):
        return 0
    found, layout = layout_of(survey, path, Told(), on_map=False)
    return prod(found.shape[1:]) // layout.channels(found.shape)
