"""Every registered attention on feature maps passes the kit that plugin authors run."""

from __future__ import annotations

import pytest

from zoo import testing
from zoo.registry import default_registry
from zoo.specs import AttentionSpec

ATTENTIONS = [s for s in default_registry().attentions.values() if s.contract in testing.MAPS]


@pytest.mark.parametrize("check", testing.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("spec", ATTENTIONS, ids=lambda spec: spec.name)
def test_conformance(spec: AttentionSpec, check: testing.Check) -> None:
    check(spec)
