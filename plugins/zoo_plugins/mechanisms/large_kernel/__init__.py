"""Large kernels: convolutions of large, often decomposed kernels as attention."""

from zoo.registry.hookspecs import hookimpl
from zoo.registry.specs import AttentionSpec
from zoo_plugins.mechanisms.large_kernel.specs import ATTENTIONS


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
