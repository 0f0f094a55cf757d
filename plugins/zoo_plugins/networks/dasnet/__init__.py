"""dasNet: feedback attention that is searched for by evolution."""

from zoo.registry.hookspecs import hookimpl
from zoo.registry.specs import ModelSpec
from zoo_plugins.networks.dasnet.specs import MODELS


@hookimpl
def zoo_models() -> tuple[ModelSpec, ...]:
    return MODELS
