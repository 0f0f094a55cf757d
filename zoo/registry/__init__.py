"""What the zoo knows of, without torch: specs, plugins, the index of both, and names.

A name becomes a spec here. Nothing in this package imports torch or timm, so that every listing is
quick; what is built from a spec is built by `zoo.build`.
"""

from zoo.registry.index import Registry, default_registry

__all__ = ["Registry", "default_registry"]
