"""Properties that every attention on maps has, on shapes that nobody chose."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from zoo.build.attention import build_attention
from zoo.registry import default_registry
from zoo.registry.specs import MAPS, AttentionSpec

REGISTRY = default_registry()
CHANNELS = 64
MAPS_ALONE = [
    s for s in REGISTRY.attentions.values() if s.contract in MAPS and s.insertion.role != "none"
]
shapes = st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20))
few = settings(
    max_examples=8, derandomize=True, database=None, deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
by_name = pytest.mark.parametrize("spec", MAPS_ALONE, ids=lambda spec: spec.name)


def made(spec: AttentionSpec, size: tuple[int, int], **options: Any) -> nn.Module:
    if spec.insertion.needs_size:
        options["feat_size"] = size
    torch.manual_seed(0)
    return build_attention(spec, REGISTRY, CHANNELS, options).eval()


def run(module: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return module(x)


@by_name
@few
@given(shape=shapes, double=st.booleans())
def test_any_map_keeps_shape_dtype_layout_and_stands_alone(
    spec: AttentionSpec, shape: tuple[int, int, int], double: bool
) -> None:
    batch, height, width = shape
    dtype = torch.float64 if double else torch.float32
    x = torch.randn(batch, CHANNELS, height, width, dtype=dtype)
    module = made(spec, (height, width), dtype=dtype)
    y = run(module, x)
    assert y.shape == x.shape and y.dtype == dtype and bool(y.isfinite().all())
    close = {"rtol": 1e-4, "atol": 1e-4 * max(1.0, float(y.abs().max()))}
    torch.testing.assert_close(run(module, x.to(memory_format=torch.channels_last)), y, **close)
    torch.testing.assert_close(run(module, x[:1]), y[:1], **close)


@by_name
@few
@given(shape=shapes)
def test_gradients_of_any_map_are_finite(spec: AttentionSpec, shape: tuple[int, int, int]) -> None:
    batch, height, width = shape
    x = torch.randn(batch + 1, CHANNELS, height, width, requires_grad=True)  # norms need two
    module = made(spec, (height, width)).train()
    module(x).square().sum().backward()
    assert x.grad is not None and bool(x.grad.isfinite().all())
    for name, parameter in module.named_parameters():
        assert parameter.grad is None or bool(parameter.grad.isfinite().all()), name
