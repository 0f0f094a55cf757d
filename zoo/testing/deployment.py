"""Checks of what training and deployment do to a module: processes, half precision, meta device."""

from __future__ import annotations

import copy
from typing import Any
from unittest import SkipTest

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from zoo.errors import UsageError
from zoo.registry.specs import AttentionSpec
from zoo.testing.trial import (
    SAME_SHAPE,
    Attention,
    Inputs,
    build,
    close,
    conformance,
    convert,
    require,
    run,
    sample,
    spec_of,
    tensors_of,
)

LARGEST = 6e4  # of float16, with some room


@conformance
def check_takes_part(attention: Attention) -> None:
    """After a backward pass in training, every parameter that requires a gradient has one.

    The gradient may be zero. Where there is none, `DistributedDataParallel` stops.
    """
    spec = spec_of(attention)
    module = build(spec).train()
    terms = _differentiable(module(*convert(sample(spec), _leaf)))
    require(bool(terms), spec, "no output has a gradient")
    torch.stack(terms).sum().backward()
    left = [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None]
    require(not left, spec, f"{', '.join(left)} take no part in training")


@conformance
def check_half_precision(attention: Attention) -> None:
    """In float16, and under autocast to it, ordinary and large inputs give finite numbers. A module
    in float16 keeps the dtype of a map or tokens.

    A scale is left out if the output of a layer in float32 is beyond float16 there. At the ordinary
    scale the numbers are those of float32.
    """
    spec = spec_of(attention)
    for scale in (1.0, 100.0):
        inputs = convert(sample(spec, batch=2), lambda t, s=scale: _scaled(t, s))
        module = build(spec).eval()
        try:
            expected, largest = _run_watched(module, inputs)
        except UsageError:  # what is no input of the module at that scale
            continue
        if largest > LARGEST:
            continue
        with torch.autocast("cpu", torch.float16):
            found = run(copy.deepcopy(module), inputs)
        _near(found, expected, scale, spec, "autocast")
        found = run(module.half(), convert(inputs, _half))
        if spec.contract in SAME_SHAPE:
            require(found.dtype == torch.float16, spec, f"torch.float16 becomes {found.dtype}")
        _near(found, expected, scale, spec, "half precision")


@conformance
def check_meta_device(attention: Attention) -> None:
    """Built on the meta device, a module runs there. Given memory and a state dict, it computes the
    same.

    A table outside the state dict must be computed anew.
    """
    spec = spec_of(attention)
    module, inputs = build(spec).eval(), sample(spec)
    expected = run(module, inputs)
    on_meta = convert(inputs, lambda t: t.to("meta"))
    for assign in (False, True):
        with torch.device("meta"):
            other = build(spec).eval()
        try:
            shapes = [t.shape for t in tensors_of(run(other, on_meta))]
        except RuntimeError as error:
            if "item()" in str(error):  # how large its output is depends on the values
                raise SkipTest(f"{spec.name} reads values") from error
            raise
        require(shapes == [t.shape for t in tensors_of(expected)], spec, "meta has other shapes")
        if not assign:
            _to_empty(other)
        other.load_state_dict(module.state_dict(), assign=assign)
        close(run(other, inputs), expected, spec, "after the meta device it computes other numbers")


@conformance
def check_checkpointing(attention: Attention) -> None:
    """Gradient checkpointing changes no step of training."""
    spec = spec_of(attention)
    plain, repeated = (_train(build(spec), sample(spec), use) for use in (False, True))
    close(repeated, plain, spec, "gradient checkpointing trains another function")


def _train(module: nn.Module, inputs: Inputs, use: bool, steps: int = 2) -> list[Any]:
    outputs: list[Any] = []
    spare = nn.Parameter(torch.zeros(()))  # for a module that has none
    optimizer = torch.optim.SGD([*module.train().parameters(), spare], lr=0.01)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for _ in range(steps):
            given = convert(inputs, _leaf)
            y = checkpoint(module, *given, use_reentrant=False) if use else module(*given)
            outputs.append([t.detach().clone() for t in tensors_of(y)])
            optimizer.zero_grad()
            torch.stack([*_differentiable(y), spare]).sum().backward()
            optimizer.step()
    return outputs


def _differentiable(value: Any) -> list[Tensor]:
    return [t.float().square().mean() for t in tensors_of(value) if t.requires_grad]


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.clone().requires_grad_(tensor.is_floating_point())


def _half(tensor: Tensor) -> Tensor:
    return tensor.half() if tensor.is_floating_point() else tensor


def _scaled(tensor: Tensor, scale: float) -> Tensor:
    return tensor * scale if tensor.is_floating_point() else tensor


def _run_watched(module: nn.Module, inputs: Inputs) -> tuple[Any, float]:
    """The outputs, and the largest number that a layer of torch put out."""
    largest = [0.0]

    def watch(layer: nn.Module, _: Any, y: Any) -> None:
        if type(layer).__module__.startswith("torch.nn"):
            sizes = [float(t.detach().abs().amax()) for t in tensors_of(y) if t.numel()]
            largest[0] = max(largest[0], *sizes) if sizes else largest[0]

    handles = [layer.register_forward_hook(watch) for layer in module.modules()]
    try:
        y = run(module, inputs)
    finally:
        for handle in handles:
            handle.remove()
    return y, max(
        [largest[0], *(float(t.detach().abs().amax()) for t in tensors_of(y) if t.numel())]
    )


def _near(found: Any, expected: Any, scale: float, spec: AttentionSpec, where: str) -> None:
    """Finite, and at the ordinary scale within 5 %."""
    where = f"{where}, inputs times {scale:g}"
    for a, b in zip(tensors_of(found), tensors_of(expected), strict=True):
        if b.is_floating_point():
            require(bool(a.isfinite().all()), spec, f"{where}: the output is not finite")
            apart = float((a.float() - b.float()).norm()) / (float(b.float().norm()) + 1e-9)
            require(scale > 1 or apart < 0.05, spec, f"{where}: {100 * apart:.0f} % from float32")


def _to_empty(module: nn.Module) -> None:
    """`to_empty`, whose memory holds NaN."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        module.to_empty(device="cpu")
    finally:
        torch.use_deterministic_algorithms(before)


DEPLOYMENT = (check_takes_part, check_half_precision, check_meta_device, check_checkpointing)
