"""What all tests share: a cache of their own, so that none sees or leaves files in the user's."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    before = os.environ.get("ZOO_CACHE")
    os.environ["ZOO_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("ZOO_CACHE")
    if before is not None:
        os.environ["ZOO_CACHE"] = before
