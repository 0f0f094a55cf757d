"""The Recurrent Attention Model."""

from zoo.registry.hookspecs import hookimpl
from zoo.registry.specs import AttentionSpec, ModelSpec
from zoo_plugins.networks.ram.attentions import ATTENTIONS
from zoo_plugins.networks.ram.specs import MODELS


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS


@hookimpl
def zoo_models() -> tuple[ModelSpec, ...]:
    return MODELS
