"""Small repositories for the tests."""

from __future__ import annotations

import numpy as np
from safetensors.numpy import save

from hub.server import Hub

NAME = "org/net"


def weights(seed: int) -> bytes:
    """A safetensors file; the same length for every seed."""
    generator = np.random.default_rng(seed)
    return save({"fc.weight": generator.standard_normal((100, 10)).astype(np.float32)})


def fill(hub: Hub, seed: int = 0, config: bytes | None = None) -> str:
    """Commit weights, and a config if given, to the sample repository."""
    files = {"model.safetensors": weights(seed)}
    return hub.store.put(NAME, files | ({"config.json": config} if config is not None else {}))
