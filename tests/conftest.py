"""What all tests share: a cache of their own, so that none sees or leaves files in the user's."""

from __future__ import annotations

import os
import sys

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    before = os.environ.get("ZOO_CACHE")
    os.environ["ZOO_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("ZOO_CACHE")
    if before is not None:
        os.environ["ZOO_CACHE"] = before


@pytest.fixture(autouse=True)
def _no_freed_operators():
    """Scripting fails at random after `torch.compile` in the same process: see the function."""
    if "torch" in sys.modules:
        from zoo.export.operators import forget_freed_operators

        forget_freed_operators()
