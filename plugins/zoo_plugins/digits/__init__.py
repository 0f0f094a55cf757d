"""Digits on canvases: translated, cluttered, paired and distorted MNIST, and house numbers."""

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec

ATTENTIONS: tuple[AttentionSpec, ...] = ()


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
