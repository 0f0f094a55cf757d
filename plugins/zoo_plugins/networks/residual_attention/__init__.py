"""Residual attention networks: models whose trunk is scaled by soft masks."""

from zoo.registry.hookspecs import hookimpl
from zoo.registry.specs import ModelSpec
from zoo_plugins.networks.residual_attention.specs import MODELS


@hookimpl
def zoo_models() -> tuple[ModelSpec, ...]:
    return MODELS
