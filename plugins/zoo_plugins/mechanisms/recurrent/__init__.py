"""Recurrent attention: maps that are refined step by step."""

from zoo.registry.hookspecs import hookimpl
from zoo.registry.specs import AttentionSpec
from zoo_plugins.mechanisms.recurrent.specs import ATTENTIONS


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
