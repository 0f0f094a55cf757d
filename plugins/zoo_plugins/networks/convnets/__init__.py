"""Convolutional networks of particular authors, and timm's forms of the same papers."""

from zoo.registry.hookspecs import hookimpl
from zoo.registry.specs import BackboneSpec, ModelSpec
from zoo_plugins.networks.convnets.specs import BACKBONES, MODELS


@hookimpl
def zoo_backbones() -> tuple[BackboneSpec, ...]:
    return BACKBONES


@hookimpl
def zoo_models() -> tuple[ModelSpec, ...]:
    return MODELS
