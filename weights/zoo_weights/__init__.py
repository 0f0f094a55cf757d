"""Manifests of weights, one TOML a file: `<model>.<tag>.toml`, in the fields of `WeightsSpec`.

The small trained weights themselves lie beside them. Nothing is parsed until weights are asked
for, and no manifest imports anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from zoo.registry.hookspecs import hookimpl
from zoo.registry.specs import WeightsSpec
from zoo.weights.manifests import read_folder


@hookimpl
def zoo_weights() -> Iterable[WeightsSpec]:
    """Every manifest of this folder."""
    return read_folder(__path__[0])
