"""`torch.export` of every attention on maps, for any size of batch."""

from __future__ import annotations

import pytest
import torch

from zoo.registry import default_registry
from zoo.registry.specs import AttentionSpec
from zoo.testing.trial import MAPS, build, sample

SPECS = [
    s
    for s in default_registry().attentions.values()
    if s.contract in MAPS and s.insertion.role != "none"
]
QUICK = ("se", "cbam", "double_attention", "non_local", "stand_alone", "halo")

FIXED_BATCH = ("picanet_global",)  # an LSTM is exported for one size of batch


def exported(spec: AttentionSpec) -> None:
    """The exported program computes what the module does, on another batch too."""
    module, x = build(spec).eval(), sample(spec)[0]
    shapes = ({0: torch.export.Dim("batch", min=2, max=64)},)
    fixed = spec.name in FIXED_BATCH
    program = torch.export.export(module, (x,), dynamic_shapes=None if fixed else shapes).module()
    for given in (x,) if fixed else (x, torch.cat([x, x[:2]])):
        with torch.no_grad():
            torch.testing.assert_close(program(given), module(given), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", QUICK)
def test_it_is_exported(name: str) -> None:
    exported(default_registry().attentions[name])


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_one_is_exported(spec: AttentionSpec) -> None:
    exported(spec)
