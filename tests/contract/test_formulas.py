"""Every mechanism computes its authors' formula, which the speed benchmark holds against it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from formulas import FORMULAS  # noqa: E402
from formulas.timm_layers import TIMM  # noqa: E402
from mechanisms_table import table  # noqa: E402

from zoo.registry import default_registry  # noqa: E402
from zoo.testing.trial import build  # noqa: E402

SIZE = (14, 20)
DIVIDED = {"grid": (14, 21)}  # by a formula that is not written for other maps
CHANNELS = 64


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_the_formula_gives_the_same_output_and_gradient(name: str) -> None:
    spec = default_registry().attentions[name]
    size = DIVIDED.get(name, SIZE)
    module = build(spec, size=size, dtype=torch.float64).eval()
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():  # off its start, where a scale of zero would hide what it scales
        for parameter in module.parameters():
            noise = torch.rand(parameter.shape, generator=random, dtype=torch.float64)
            parameter.add_(noise, alpha=0.05)
    tokens = spec.contract == "tokens"
    shape = (size[0] * size[1], CHANNELS) if tokens else (CHANNELS, *size)
    x = torch.randn(2, *shape, generator=random, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(x.shape, generator=random, dtype=torch.float64)
    found = []
    for y in (module(x), FORMULAS[name](module, x)):
        gradient = torch.autograd.grad((y * weights).sum(), x)[0]
        found.append((y.detach(), gradient))
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(TIMM))
def test_timms_layer_is_there_for_a_mechanism_and_a_map(name: str) -> None:
    layer = TIMM[name](CHANNELS, (56, 56))
    assert name in default_registry().attentions
    assert layer is not None
    x = torch.randn(1, CHANNELS, 56, 56)
    with torch.no_grad():
        assert layer.eval()(x).shape == x.shape


def test_the_table_shows_the_record() -> None:
    record = json.loads((BENCHMARKS / "mechanisms.json").read_text("utf-8"))
    assert (BENCHMARKS / "mechanisms.md").read_text("utf-8") == table(record)
