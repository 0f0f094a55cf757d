"""Channel and spatial attention together."""

from zoo.registry.hookspecs import hookimpl
from zoo.registry.specs import AttentionSpec
from zoo_plugins.mechanisms.mixed.specs import ATTENTIONS


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
