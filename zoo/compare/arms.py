"""The arms of a comparison, from what a user writes. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.compare.design import PLAIN, Arm
from zoo.errors import UsageError
from zoo.registry import Registry, names
from zoo.registry.constructor import option_names
from zoo.registry.specs import AttentionSpec
from zoo.registry.targets import resolve


def arms(
    attentions: Sequence[str],
    registry: Registry,
    *,
    sites: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> tuple[Arm, ...]:
    """An arm for each attention.

    Args:
        sites: where all of them go; by default, where the spec of each says.
        options: options of the mechanisms. `reduction` goes to each attention that has such an
            option, `se.reduction` to that one alone.

    Raises:
        UnknownNameError: there is no such attention; the message names the closest.
        UsageError: none is named, one is named twice, or no attention has one of the options.
    """
    specs = [names.attention(name, registry) for name in attentions]
    labels = [spec.name for spec in specs]
    if not specs:
        raise UsageError("no attention is named", remedy="--attentions se,eca,cbam")
    twice = sorted({label for label in labels if labels.count(label) > 1 or label == PLAIN})
    if twice:
        raise UsageError(f"{twice[0]} is named twice", remedy="each attention once")
    own = _shared_out(specs, registry, options or {})
    where: Any = sites[0] if len(sites) == 1 else tuple(sites) or None
    return tuple(
        Arm(label=label, attention=label, sites=where, options=own[label]) for label in labels
    )


def _shared_out(
    specs: Sequence[AttentionSpec], registry: Registry, options: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """The options of each attention. The same option for one alone goes before that for all."""
    own: dict[str, dict[str, Any]] = {spec.name: {} for spec in specs}
    known = {s.name: option_names(resolve(s.target, registry.owner(s))) for s in specs}
    for key in sorted(options, key=lambda key: "." in key):
        name, _, option = key.rpartition(".")
        takers = [n for n in own if (not name or n == name) and option in known[n]]
        if not takers:
            raise UsageError(
                f"none of {', '.join(own)} has an option {key!r}",
                remedy=f"zoo info {name if name in own else next(iter(own))} lists its options",
            )
        for taker in takers:
            own[taker][option] = options[key]
    return own
