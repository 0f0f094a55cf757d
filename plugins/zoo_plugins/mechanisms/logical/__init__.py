"""Logical attention: memory, sets and sequences."""

from zoo.registry.hookspecs import hookimpl
from zoo.registry.specs import AttentionSpec
from zoo_plugins.mechanisms.logical.specs import ATTENTIONS


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
