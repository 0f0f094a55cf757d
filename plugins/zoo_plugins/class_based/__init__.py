"""Class-based attention: maps that explain, or are supervised by, a class."""

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec

ATTENTIONS: tuple[AttentionSpec, ...] = ()


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
