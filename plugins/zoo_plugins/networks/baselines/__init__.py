"""The networks without attention that the field compares with."""

from zoo.registry.hookspecs import hookimpl
from zoo.registry.specs import ModelSpec
from zoo_plugins.networks.baselines.specs import MODELS


@hookimpl
def zoo_models() -> tuple[ModelSpec, ...]:
    return MODELS
