"""`torch.export` of every attention on maps, for any size of batch."""

from __future__ import annotations

import pytest
import torch

from zoo.registry import default_registry
from zoo.specs import AttentionSpec
from zoo.testing.trial import MAPS, build, sample

SPECS = [s for s in default_registry().attentions.values() if s.contract in MAPS and not s.example]
QUICK = ("se", "cbam", "double_attention", "non_local", "stand_alone", "halo")


def exported(spec: AttentionSpec) -> None:
    """The exported program computes what the module does, on another batch too."""
    module, x = build(spec).eval(), sample(spec)[0]
    shapes = ({0: torch.export.Dim("batch", min=2, max=64)},)
    program = torch.export.export(module, (x,), dynamic_shapes=shapes).module()
    for given in (x, torch.cat([x, x[:2]])):
        with torch.no_grad():
            torch.testing.assert_close(program(given), module(given), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", QUICK)
def test_it_is_exported(name: str) -> None:
    exported(default_registry().attentions[name])


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_one_is_exported(spec: AttentionSpec) -> None:
    exported(spec)
