"""Batches that nobody chose: of no images, and of very large numbers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.registry import default_registry
from zoo.registry.specs import AttentionSpec
from zoo.testing.trial import build, convert, rows_are_independent, run, sample, tensors_of

ROWS = [s for s in default_registry().attentions.values() if rows_are_independent(s)]
NO_ROWS = {  # what has no rows stops in PyTorch or timm itself
    "bottleneck": "timm's relative logits",
    "ceca": "timm's layer",
    "halo": "timm's relative logits",
    "harmonious_regions": "torch.nn.functional.affine_grid",
    "spatial_transformer": "torch.nn.functional.affine_grid",
    "split_attention": "timm's RadixSoftmax",
    "window": "timm's windows",
}


@pytest.mark.filterwarnings("ignore:.*degrees of freedom:UserWarning")  # of an empty tensor
@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_a_batch_of_nothing_gives_nothing(spec: AttentionSpec) -> None:
    if spec.name in NO_ROWS:
        pytest.skip(NO_ROWS[spec.name])
    inputs = sample(spec)
    module = build(spec).eval()
    one = list(tensors_of(run(module, convert(inputs, lambda t: t[:1]))))
    for training in (False, True):
        none = tensors_of(run(module.train(training), convert(inputs, lambda t: t[:0])))
        for found, row in zip(none, one, strict=True):
            if row.ndim and len(row) == 1:
                assert found.shape == (0, *row.shape[1:])
    assert all(bool(t.isfinite().all()) for t in module.state_dict().values())


@pytest.mark.parametrize("name", ["bat", "kalman_filtering"])
def test_large_numbers_have_outputs_and_gradients(name: str) -> None:
    spec = default_registry().attentions[name]
    module, inputs = build(spec).eval(), convert(sample(spec), lambda t: (1e4 * t).requires_grad_())
    y = next(tensors_of(module(*inputs)))
    y.mean().backward()
    found = [y, *(t.grad for t in inputs), *(p.grad for p in module.parameters())]
    assert all(bool(t.isfinite().all()) for t in found if t is not None)


def test_a_prior_beyond_a_float_is_compared_in_logarithms() -> None:
    """The perceptron says e^100; one memory says e^101, and the other nothing."""
    module = _certain(zoo.create_attention("kalman_filtering", 2), log_prior=100.0)
    query, memory = torch.tensor([[1.0, 0.0]]), torch.tensor([[[101.0, 0.0], [0.0, 0.0]]])
    found = module.estimate(query, memory)
    expected = torch.softmax(torch.tensor([101.0, 0.0, 100.0], dtype=torch.float64), 0).float()
    torch.testing.assert_close(found.weights, expected[None, :2])
    torch.testing.assert_close(found.prior_weight, expected[None, 2:])


def _certain(module: nn.Module, log_prior: float) -> nn.Module:
    """With W_Q and W_K the identity, and a prior of that precision whatever the query."""
    module = copy.deepcopy(module)
    eye: Tensor = torch.eye(2)
    with torch.no_grad():
        for name in ("W_Q", "W_K"):
            module.get_parameter(f"{name}.weight").copy_(eye)
        module.get_parameter("prior_precision.2.weight").zero_()
        module.get_parameter("prior_precision.2.bias").fill_(log_prior)
    return module
