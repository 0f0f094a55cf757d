"""Class-based attention: maps that explain, or are supervised by, a class."""

from zoo_plugins.class_based._xslot import XSLOT

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec

ATTENTIONS: tuple[AttentionSpec, ...] = (XSLOT,)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
