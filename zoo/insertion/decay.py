"""Layer-wise learning rates: an attention belongs to the layer of the parameters before it.

timm's `group_matcher` sorts parameters into layers by their names, with regular expressions or
with a function. It knows blocks, and takes what is after a stage (`layer1.attn`) for the head's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from torch import nn

Groups = dict[str, Any] | Callable[[str], Any]


def keep_layers(model: Any, own: Collection[str]) -> None:
    """Let `model.group_matcher` put attention into the layer of the parameter that precedes it.

    Args:
        own: names of the parameters that the model had before.
    """
    if not hasattr(model, "group_matcher"):
        return
    groups = model.group_matcher(coarse=False)
    before = _predecessors(model, own)
    astray = {n: p for n, p in before.items() if _layer(groups, n) != _layer(groups, p)}
    if astray:
        model.group_matcher = AttendedGroups(model.group_matcher, astray)


class AttendedGroups:
    """A `group_matcher` that knows of some parameters in which layer they are.

    Args:
        matcher: the model's own.
        before: for each such parameter, one of the layer that it belongs to.
    """

    def __init__(self, matcher: Callable[..., Groups], before: dict[str, str]) -> None:
        self.matcher = matcher
        self.before = before

    def __call__(self, coarse: bool = False) -> Groups:
        groups = self.matcher(coarse=coarse)
        if callable(groups):
            return lambda name: groups(self.before.get(name, name))
        groups = dict(groups)
        for name, known in self.before.items():
            layer = _layer(groups, known)
            if layer is not None:
                group, ordinals = layer
                groups[group] = [(rf"^{re.escape(name)}$", ordinals), *_patterns(groups[group])]
        return groups


def _predecessors(model: nn.Module, own: Collection[str]) -> dict[str, str]:
    """For each parameter that is new, the last one before it that is not."""
    found: dict[str, str] = {}
    last = ""
    for name, _ in model.named_parameters():
        if name in own:
            last = name
        elif last:
            found[name] = last
    return found


def _layer(groups: Groups, name: str) -> Any:
    """The group of a parameter and the numbers that order it in there, as timm reads them."""
    if callable(groups):
        return groups(name)
    for group, spec in groups.items():
        for pattern, suffix in _patterns(spec):
            if found := re.match(pattern, name):
                return group, tuple(map(float, (*found.groups(), *(suffix or ()))))
    return None


def _patterns(spec: Any) -> Iterator[tuple[str, tuple[float, ...] | None]]:
    if spec is None:
        return iter(())
    return iter([(spec, None)] if isinstance(spec, str) else spec)
