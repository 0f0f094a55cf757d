"""What came of a pull: the right bytes or one of our errors, and a clean cache."""

from __future__ import annotations

import pytest

from hub.client import Client
from hub.samples import weights
from hub.store import sha256

GOOD = weights(0)


def slow(*values: object) -> object:
    """A case for `pytest -m slow`; the quick run has one of each kind."""
    return pytest.param(*values, marks=pytest.mark.slow)


def assert_good(result: dict, content: bytes = GOOD) -> None:
    assert result["ok"], result
    assert result["sha256"] == sha256(content)
    assert result["bytes"] == len(content)
    assert not result["torch"]


def assert_refused(result: dict, *errors: str) -> None:
    assert not result["ok"], result
    assert not result["raw"], result
    assert result["error"] in errors, result


def assert_clean(client: Client, *contents: bytes) -> None:
    """The cache holds these contents and nothing else, no half file either."""
    found = {sha256(path.read_bytes()) for path in client.blobs() if path.name != "CACHEDIR.TAG"}
    assert found <= {sha256(content) for content in contents}
