"""Every registered attention passes the kit that plugin authors run."""

from __future__ import annotations

import pytest

from zoo import testing
from zoo.registry import default_registry
from zoo.registry.specs import AttentionSpec
from zoo.testing import trial

ATTENTIONS = list(default_registry().attentions.values())
# the check that trains takes a second; the others are slow tests
TUNED = ("cbam", "dasnet", "emsa", "se", "spatial_transformer")
# the dearest takes 90 seconds of CPU time for its hundred steps, minutes where others run too
TRAINING = pytest.mark.timeout(3600)


def applies(spec: AttentionSpec, check: testing.Check) -> bool:
    if check in (testing.check_sizes, testing.check_channels_last):
        return spec.contract in testing.MAPS
    if check is testing.check_identity_start:
        return spec.insertion.identity == "exact"
    if check is testing.check_warm_start:
        return spec.insertion.role != "none"
    return check is not testing.check_mask or spec.masked


def marks(spec: AttentionSpec, check: testing.Check) -> tuple[pytest.MarkDecorator, ...]:
    trains = check is testing.check_warm_start
    return (pytest.mark.slow, TRAINING) if trains and spec.name not in TUNED else ()


@pytest.mark.parametrize(
    ("spec", "check"),
    [
        pytest.param(spec, check, id=f"{spec.name}-{check.__name__}", marks=marks(spec, check))
        for spec in ATTENTIONS
        for check in testing.CHECKS
        if applies(spec, check)
    ],
)
def test_conformance(spec: AttentionSpec, check: testing.Check) -> None:
    check(spec)


@pytest.mark.parametrize("spec", ATTENTIONS, ids=lambda spec: spec.name)
def test_each_can_be_tried(spec: AttentionSpec) -> None:
    """A spec whose contract has no sample must give an example, or no check would see it."""
    assert trial.sample(spec, batch=2)
