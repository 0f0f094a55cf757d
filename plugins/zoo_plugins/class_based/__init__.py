"""Class-based attention: maps that explain, or are supervised by, a class."""

from zoo_plugins.class_based import _acf, _specs, _xslot

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec, ModelSpec

ATTENTIONS: tuple[AttentionSpec, ...] = (*_specs.ATTENTIONS, _xslot.XSLOT, _acf.ACF)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS


@hookimpl
def zoo_models() -> tuple[ModelSpec, ...]:
    return (*_specs.MODELS, *_xslot.MODELS)
