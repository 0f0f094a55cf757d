"""Evaluation on CUDA gives the CPU's result; autocast is float16 there without being asked."""

from __future__ import annotations

import pytest
import torch

import zoo
from zoo.data.mnist import MNIST
from zoo.evaluation import evaluate
from zoo.runtime.device import autocast_dtype

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def logits_of(model, device: str, **options) -> tuple[object, torch.Tensor]:
    seen: list[torch.Tensor] = []
    data = MNIST()
    result = evaluate(
        model, data, device=device, limit=256, sink=lambda i, x, y: seen.append(x.cpu()), **options
    )
    return result, torch.cat(seen)


@pytest.mark.parametrize("name", ["resnet18", "se_resnet18", "ram_mnist"])
def test_logits_are_the_cpus(name):
    torch.manual_seed(0)
    model = zoo.create_model(name, num_classes=10)
    cpu, expected = logits_of(model, "cpu")
    cuda, found = logits_of(model, "cuda", amp=False)
    assert cuda.device.startswith("cuda") and cuda.precision == "float32"
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert next(model.parameters()).device.type == "cpu"
    assert cuda.tally.count == cpu.tally.count == 256


def test_autocast_is_the_default():
    torch.manual_seed(0)
    model = zoo.create_model("resnet18", num_classes=10)
    full, expected = logits_of(model, "cuda", amp=False)
    half, found = logits_of(model, "cuda")
    if autocast_dtype(torch.device("cuda")) is None:
        pytest.skip("no tensor cores")
    assert half.precision == "float16" and full.precision == "float32"
    torch.testing.assert_close(found, expected, rtol=5e-2, atol=5e-2)
