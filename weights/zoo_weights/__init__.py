"""Manifests of weights, one TOML a file: `<model>.<tag>.toml`, in the fields of `WeightsSpec`.

The small trained weights themselves lie beside them. Nothing is parsed until weights are asked
for, and no manifest imports anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from zoo.hookspecs import hookimpl
from zoo.manifests import read_folder
from zoo.specs import WeightsSpec


@hookimpl
def zoo_weights() -> Iterable[WeightsSpec]:
    """Every manifest of this folder."""
    return read_folder(__path__[0])
