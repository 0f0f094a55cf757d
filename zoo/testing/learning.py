"""Checks of how a module learns: its gradients, and its start as an identity."""

from __future__ import annotations

import copy
import re
from typing import Any
from unittest import SkipTest

import torch
from timm.layers import Attention as SoftmaxAttention
from torch import Tensor, nn

from zoo.registry.specs import AttentionSpec
from zoo.testing.trial import (
    CHANNELS,
    MAPS,
    SIZES,
    Attention,
    Inputs,
    build,
    close,
    conformance,
    convert,
    doubled,
    require,
    run,
    sample,
    spec_of,
    tensors_of,
)


@conformance
def check_gradients(attention: Attention) -> None:
    """Gradients are finite, and none is zero except those of `dead_parameters`.

    Parameters are moved away from their start, since a layer may rightly start at zero. Some
    gradient must reach the inputs, unless the attention is hard.
    """
    spec = spec_of(attention)
    module = _shaken(build(spec, dtype=torch.float64)).train()
    inputs = convert(sample(spec), lambda t: doubled(t).requires_grad_(t.is_floating_point()))
    terms = [_weighted(t) for t in tensors_of(module(*inputs)) if t.requires_grad]
    require(bool(terms), spec, "no output has a gradient")
    torch.stack(terms).sum().backward()
    reached = [t for t in tensors_of(inputs) if t.grad is not None]
    require(bool(reached) or spec.kind == "hard", spec, "no gradient reaches the input")
    for tensor in reached:
        finite = bool(torch.as_tensor(tensor.grad).isfinite().all())
        require(finite, spec, "the gradient of the input is not finite")
    for name, parameter in module.named_parameters():
        gradient = torch.zeros(()) if parameter.grad is None else parameter.grad
        require(bool(gradient.isfinite().all()), spec, f"the gradient of {name} is not finite")
        alive = is_dead(spec, name) or float(gradient.abs().amax()) > 1e-9
        require(alive, spec, f"{name} has no gradient, and dead_parameters does not list it")


@conformance
def check_identity_start(attention: Attention) -> None:
    """With `identity="exact"`, `init_identity()` gives c x, of maps of any size, and three steps
    move every parameter that can move. A state dict carries that start.

    A token mixer gives, after `take_over(attention)`, what timm's attention gives.
    """
    spec = spec_of(attention)
    if spec.insertion.identity != "exact":
        raise SkipTest(f"{spec.name} starts through the zoo's residual, not by itself")
    if spec.insertion.role == "replace_mixer":
        return _check_takes_over(spec)
    module: Any = build(spec, dtype=torch.float64)
    require(hasattr(module, "init_identity"), spec, "it has no method init_identity()")
    gate, inputs = module.init_identity(), convert(sample(spec), doubled)
    require(bool(gate), spec, f"init_identity() returned {gate!r}, not the constant c of c x")
    start = run(copy.deepcopy(module).eval(), inputs)
    close(start, gate * inputs[0], spec, f"after init_identity() the output is not {gate} * x")
    _check_identity_elsewhere(module, spec, inputs)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    _train(module, inputs, steps=3)
    for name, parameter in module.named_parameters():
        moved = is_dead(spec, name) or not torch.equal(parameter, before[name])
        require(moved, spec, f"{name} cannot learn from the identity start")


def _check_identity_elsewhere(module: nn.Module, spec: AttentionSpec, inputs: Inputs) -> None:
    """In a module that loads the start, and on maps of other sizes."""
    gate = run(copy.deepcopy(module).eval(), inputs)
    loaded = build(spec, dtype=torch.float64, seed=1).eval()
    loaded.load_state_dict(module.state_dict())
    close(run(loaded, inputs), gate, spec, "the state dict does not carry init_identity()")
    if spec.contract not in MAPS or spec.trial.example:
        return
    for size in SIZES:
        other: Any = build(spec, size=size, dtype=torch.float64)
        factor, x = other.init_identity(), doubled(sample(spec, size=size)[0])
        what = f"after init_identity() a map of {size} does not become {factor} * x"
        close(run(other.eval(), x), factor * x, spec, what)


def _check_takes_over(spec: AttentionSpec) -> None:
    module: Any = build(spec, dtype=torch.float64, num_heads=4, qkv_bias=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        attention = SoftmaxAttention(CHANNELS, 4, qkv_bias=True, dtype=torch.float64).eval()
    module.take_over(attention)
    x = convert(sample(spec), doubled)
    same = "after take_over(attention) the output is not the attention's"
    close(run(module.eval(), x), run(attention, x), spec, same)


def is_dead(spec: AttentionSpec, name: str) -> bool:
    """Whether the spec says that the parameter can have no gradient."""
    return any(re.search(pattern, name) for pattern in spec.trial.dead_parameters)


def _weighted(tensor: Tensor) -> Tensor:
    """The sum of all elements, each with a weight of its own."""
    weights = torch.linspace(-1, 1, tensor.numel() + 1, dtype=tensor.dtype)[:-1]
    return (tensor * weights.view_as(tensor)).sum().double()


@torch.no_grad()
def _shaken(module: nn.Module) -> nn.Module:
    random = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=random, dtype=parameter.dtype)
        parameter.add_(noise, alpha=0.1)
    return module


def _train(module: nn.Module, inputs: Inputs, steps: int) -> None:
    if not any(True for _ in module.parameters()):
        return
    target = torch.flip(inputs[0], (0,))
    optimiser = torch.optim.SGD(module.train().parameters(), lr=0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        (module(*inputs) - target).square().mean().backward()
        optimiser.step()


LEARNING = (check_gradients, check_identity_start)
