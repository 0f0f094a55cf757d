"""Channel attention: what to attend to."""

from zoo.registry.hookspecs import hookimpl
from zoo.registry.specs import AttentionSpec
from zoo_plugins.mechanisms.channel.specs import ATTENTIONS


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
