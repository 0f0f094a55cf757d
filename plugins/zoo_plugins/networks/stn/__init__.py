"""Spatial transformer networks for digits and house numbers."""

from zoo.registry.hookspecs import hookimpl
from zoo.registry.specs import ModelSpec
from zoo_plugins.networks.stn.specs import MODELS


@hookimpl
def zoo_models() -> tuple[ModelSpec, ...]:
    return MODELS
