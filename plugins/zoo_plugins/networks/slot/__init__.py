"""Classifiers on slot attention."""

from zoo.registry.hookspecs import hookimpl
from zoo.registry.specs import ModelSpec
from zoo_plugins.networks.slot.specs import MODELS


@hookimpl
def zoo_models() -> tuple[ModelSpec, ...]:
    return MODELS
