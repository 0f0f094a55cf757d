"""Attention as a random variable: Bayesian, variational and Gaussian forms."""

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec

ATTENTIONS: tuple[AttentionSpec, ...] = ()


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
