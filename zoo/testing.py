"""The conformance kit that plugin authors run.

    @pytest.mark.parametrize("check", zoo.testing.CHECKS, ids=lambda check: check.__name__)
    def test_conformance(check):
        check("my_attention")

    def test_plugin():
        zoo.testing.check_plugin("zoo_my_attention")

A check takes an attention's name or its spec (which need not be registered), returns None, or
raises an `AssertionError` that says what is wrong. One that cannot apply, as the identity start of
a mechanism that has none, raises `unittest.SkipTest`, which pytest shows as skipped.
"""

from __future__ import annotations

import copy
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any
from unittest import SkipTest

import torch
from torch import Tensor, nn

from zoo import names
from zoo.errors import OptionError
from zoo.mechanisms import build_attention
from zoo.plugins import Plugin
from zoo.registry import Registry, default_registry
from zoo.specs import AttentionSpec
from zoo.targets import resolve

Attention = str | AttentionSpec
Check = Callable[[Attention], None]

CHANNELS = 64
SIZES = ((8, 8), (7, 7), (5, 9), (14, 6), (2, 3))
MAPS = ("map", "map_channels", "regulariser")
HEAVY = ("torch", "timm")


def check_output(attention: Attention) -> None:
    """A map gives a finite map of the same shape and dtype, and the input is left as it was."""
    spec = _spec(attention)
    module, x = _build(spec).eval(), _sample(spec)
    before = x.clone()
    y = _run(module, x)
    _require(isinstance(y, Tensor), spec, f"returns a {type(y).__name__}, not a tensor")
    _require(y.shape == x.shape, spec, f"{tuple(x.shape)} becomes {tuple(y.shape)}")
    _require(y.dtype == x.dtype, spec, f"{x.dtype} becomes {y.dtype}")
    _require(bool(y.isfinite().all()), spec, "the output has non-finite values")
    _require(torch.equal(x, before), spec, "the input is changed in place")


def check_sizes(attention: Attention) -> None:
    """Odd, small and non-square maps, and a batch of one, keep their shape."""
    spec = _spec(attention)
    if spec.contract not in MAPS:
        raise SkipTest(f"{spec.name} takes no maps")
    for size in SIZES:
        x = _sample(spec, batch=1, size=size)
        y = _run(_build(spec, size=size).eval(), x)
        _require(y.shape == x.shape, spec, f"{tuple(x.shape)} becomes {tuple(y.shape)}")


def check_factory_arguments(attention: Attention) -> None:
    """`dtype=` and `device=` reach every parameter and buffer."""
    spec = _spec(attention)
    double = _build(spec, dtype=torch.float64)
    for name, tensor in _tensors(double):
        is_double = tensor.dtype == torch.float64 or not tensor.is_floating_point()
        _require(is_double, spec, f"dtype=torch.float64 leaves {name} in {tensor.dtype}")
    for name, tensor in _tensors(_build(spec, device="meta")):
        _require(tensor.is_meta, spec, f"device='meta' leaves {name} on {tensor.device}")


def check_batch_independence(attention: Attention) -> None:
    """In eval, an image's output does not depend on the rest of its batch, or on the call."""
    spec = _spec(attention)
    module, x = _build(spec).eval(), _sample(spec)
    y = _run(module, x)
    _close(_run(module, x), y, spec, "two calls in eval differ")
    alone = torch.cat([_run(module, x[i : i + 1]) for i in range(len(x))])
    _close(alone, y, spec, "an image alone and in its batch differ")


def check_channels_last(attention: Attention) -> None:
    """Channels-last memory gives the same numbers."""
    spec = _spec(attention)
    if spec.contract not in MAPS:
        raise SkipTest(f"{spec.name} takes no maps")
    module, x = _build(spec).eval(), _sample(spec)
    expected = _run(module, x)
    layout: Any = torch.channels_last
    found = _run(module.to(memory_format=layout), x.to(memory_format=layout))
    _close(found, expected, spec, "channels-last memory changes the numbers")


def check_gradients(attention: Attention) -> None:
    """Gradients are finite, and none is zero but those of `dead_parameters`.

    Parameters are moved off their start, since a layer may rightly start at zero.
    """
    spec = _spec(attention)
    module = _shaken(_build(spec, dtype=torch.float64)).train()
    x = _sample(spec).double().requires_grad_()
    y = module(x)
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    _require(x.grad is not None, spec, "no gradient reaches the input")
    for name, tensor in (("the input", x), *module.named_parameters()):
        gradient = torch.zeros(()) if tensor.grad is None else tensor.grad
        _require(bool(gradient.isfinite().all()), spec, f"the gradient of {name} is not finite")
        alive = _dead(spec, name) or float(gradient.abs().amax()) > 1e-9
        _require(alive, spec, f"{name} has no gradient, and dead_parameters does not list it")


def check_copies(attention: Attention) -> None:
    """`copy.deepcopy`, `pickle` and a state dict carry all that the output depends on."""
    spec = _spec(attention)
    module, x = _build(spec).eval(), _sample(spec)
    expected = _run(module, x)
    _close(_run(copy.deepcopy(module), x), expected, spec, "a deep copy computes something else")
    try:
        pickled = pickle.loads(pickle.dumps(module))
    except Exception as error:
        raise AssertionError(f"{spec.name}: it cannot be pickled: {error}") from error
    _close(_run(pickled, x), expected, spec, "a pickled copy computes something else")
    other = _build(spec, seed=1).eval()
    other.load_state_dict(module.state_dict())
    _close(_run(other, x), expected, spec, "the state dict does not carry the whole state")


def check_unknown_option(attention: Attention) -> None:
    """An option that the mechanism does not have is refused by name."""
    spec = _spec(attention)
    try:
        _build(spec, no_such_option=1)
    except OptionError as error:
        _require("no_such_option" in str(error), spec, f"the error names no option: {error}")
        return
    raise AssertionError(f"{spec.name}: an unknown option is accepted silently")


def check_identity_start(attention: Attention) -> None:
    """With `identity="exact"`, `init_identity()` gives c * x, and three steps move all that can."""
    spec = _spec(attention)
    if spec.identity != "exact":
        raise SkipTest(f"{spec.name} starts through the zoo's residual, not by itself")
    module: Any = _build(spec, dtype=torch.float64)
    _require(hasattr(module, "init_identity"), spec, "it has no method init_identity()")
    stated = module.init_identity()
    gate, x = spec.identity_gate if stated is None else stated, _sample(spec).double()
    start = _run(copy.deepcopy(module).eval(), x)
    _close(start, gate * x, spec, f"after init_identity() the output is not {gate} * x")
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    _train(module, x, steps=3)
    for name, parameter in module.named_parameters():
        moved = _dead(spec, name) or not torch.equal(parameter, before[name])
        _require(moved, spec, f"{name} cannot learn from the identity start")


CHECKS: tuple[Check, ...] = (
    check_output,
    check_sizes,
    check_factory_arguments,
    check_batch_independence,
    check_channels_last,
    check_gradients,
    check_copies,
    check_unknown_option,
    check_identity_start,
)


def check_attention(attention: Attention) -> None:
    """Every check that applies, by name or spec."""
    for check in CHECKS:
        try:
            check(attention)
        except SkipTest:
            continue


def check_plugin(plugin: ModuleType | str) -> None:
    """A plugin imports no torch, has no problem, its targets exist, its attentions conform."""
    name = plugin if isinstance(plugin, str) else plugin.__name__
    check_import_is_light(name)
    row = _row(import_module(name) if isinstance(plugin, str) else plugin)
    if row.problems:
        raise AssertionError(f"plugin {row.name}: {'; '.join(row.problems)}")
    for hook in ("zoo_attentions", "zoo_backbones", "zoo_models", "zoo_datasets"):
        for spec in row.call(hook):
            if spec.target:
                resolve(spec.target, f"plugin {row.name}")
    for spec in row.call("zoo_attentions"):
        check_attention(spec)


def check_import_is_light(module: str) -> None:
    """Importing the module in a fresh interpreter imports neither torch nor timm."""
    code = f"import sys, {module}; print(*sorted({set(HEAVY)!r} & sys.modules.keys()))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{module} cannot be imported: {done.stderr.strip()[-800:]}")
    if heavy := done.stdout.strip():
        raise AssertionError(f"importing {module} imports {heavy}: name targets as strings instead")


def _spec(attention: Attention) -> AttentionSpec:
    if isinstance(attention, AttentionSpec):
        return attention
    return names.attention(attention, default_registry())


def _build(
    spec: AttentionSpec, *, size: tuple[int, int] = SIZES[0], seed: int = 0, **options: Any
) -> nn.Module:
    if spec.needs_size:
        options["feat_size"] = size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_attention(spec, default_registry(), CHANNELS, options)


def _sample(spec: AttentionSpec, *, batch: int = 4, size: tuple[int, int] = SIZES[0]) -> Tensor:
    random = torch.Generator().manual_seed(2)
    if spec.contract in MAPS:
        return torch.randn(batch, CHANNELS, *size, generator=random)
    if spec.contract == "tokens":
        return torch.randn(batch, size[0] * size[1], CHANNELS, generator=random)
    raise SkipTest(f"the kit has no sample input for the contract {spec.contract!r}")


def _run(module: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return module(x)


@torch.no_grad()
def _shaken(module: nn.Module) -> nn.Module:
    random = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=random, dtype=parameter.dtype)
        parameter.add_(noise, alpha=0.1)
    return module


def _train(module: nn.Module, x: Tensor, steps: int) -> None:
    if not any(True for _ in module.parameters()):
        return
    target = torch.flip(x, (0,))
    optimiser = torch.optim.SGD(module.train().parameters(), lr=0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        (module(x) - target).square().mean().backward()
        optimiser.step()


def _tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]


def _dead(spec: AttentionSpec, name: str) -> bool:
    return any(re.search(pattern, name) for pattern in spec.dead_parameters)


def _row(module: ModuleType) -> Plugin:
    for row in default_registry().plugins:
        if row.module is module:
            return row
    return Registry(plugins=[module]).plugins[-1]


def _require(condition: bool, spec: AttentionSpec, what: str) -> None:
    if not condition:
        raise AssertionError(f"{spec.name}: {what}")


def _close(found: Tensor, expected: Tensor, spec: AttentionSpec, what: str) -> None:
    torch.testing.assert_close(
        found, expected, rtol=1e-4, atol=1e-5, msg=lambda detail: f"{spec.name}: {what}. {detail}"
    )
