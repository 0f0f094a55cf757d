"""Reference cases: numbers of the authors' code, in `cases/` (see the header of each file)."""

from __future__ import annotations

from pathlib import Path

import pytest

CASES = Path(__file__).with_name("cases")


@pytest.fixture
def cases() -> Path:
    return CASES
