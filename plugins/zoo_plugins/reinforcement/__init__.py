"""Attention trained by reinforcement, and its critics."""

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec

ATTENTIONS: tuple[AttentionSpec, ...] = ()


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
