"""One attention into one backbone: check what is asked, and do it the way of its role."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.errors import IncompatibleBackboneError, UsageError
from zoo.insertion.decay import keep_layers
from zoo.insertion.refine import refine
from zoo.insertion.replace import replace_convolutions, replace_mixers
from zoo.insertion.request import Build, Request, Target
from zoo.registry.specs import AttentionSpec, Form


def insert(
    target: Target,
    spec: AttentionSpec,
    build: Build,
    *,
    sites: str | Sequence[str] | None = None,
    insertion: Form = "plain",
    replace: bool = False,
) -> list[str]:
    """Put `spec`'s attention into the backbone and return the dotted paths where it lives.

    Args:
        build: `build(channels, **more)` makes one module.
        sites: a placement (`"block"`, `"stage"`, `"between_stages"`) or paths and patterns.
        insertion: `plain` f(x), `exact` f(x)/c with f started at c x, or `residual`.
        replace: put it in the place of the attention that the backbone already has.

    Raises:
        IncompatibleBackboneError: where it cannot go. UsageError: contradictory arguments.
    """
    _check(spec, insertion, replace)
    wanted = (sites,) if isinstance(sites, str) else sites
    request = Request(
        target=target,
        spec=spec,
        build=build,
        sites=None if wanted is None else tuple(wanted),
        insertion=insertion,
    )
    own = {name for name, _ in target.model.named_parameters()}
    paths = _put(request, replace)
    keep_layers(target.model, own)
    return paths


def _put(request: Request, replace: bool) -> list[str]:
    if request.spec.insertion.role == "replace_conv":
        return replace_convolutions(request)
    if request.spec.insertion.role == "replace_mixer":
        return replace_mixers(request)
    return refine(request, own=replace)


def _check(spec: AttentionSpec, insertion: Form, replace: bool) -> None:
    if spec.insertion.role in ("none", "gate_skip"):
        alone = f'zoo.create_attention("{spec.name}")'
        skip = f'zoo.add_attention(model, "{spec.name}", at={{"x": path, "gate": path}}, example=x)'
        raise IncompatibleBackboneError(
            f"{spec.name} ({spec.contract}) does not go into the blocks of a backbone",
            remedy=skip if spec.insertion.role == "gate_skip" else alone,
        )
    if insertion == "exact" and spec.insertion.identity != "exact":
        raise UsageError(
            f"{spec.name} cannot start as the identity by itself",
            where="insertion='exact'",
            remedy="insertion='residual'",
        )
    if replace and insertion != "plain":
        raise UsageError(
            "replacing attention that the backbone was trained with moves its logits",
            where=f"replace=True, insertion={insertion!r}",
            remedy="insertion='plain', or leave replace out to add to what is there",
        )
