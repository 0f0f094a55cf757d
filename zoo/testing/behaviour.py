"""Checks of what a module computes: shapes, layout, independence, masks, copies, options."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any
from unittest import SkipTest

import torch
from torch import Tensor, nn

from zoo.errors import OptionError
from zoo.registry.specs import AttentionSpec
from zoo.testing.trial import (
    SAME_SHAPE,
    SIZES,
    Attention,
    Inputs,
    build,
    close,
    conformance,
    convert,
    require,
    rows_are_independent,
    run,
    sample,
    sample_map,
    spec_of,
    tensors_of,
)

WIDTHS = (32, 96)


@conformance
def check_output(attention: Attention) -> None:
    """In eval and in training, outputs are finite, inputs stay as they were, and a map or tokens
    keep shape and dtype.
    """
    spec = spec_of(attention)
    for mode in (False, True):
        module, inputs = build(spec).train(mode), sample(spec)
        with torch.random.fork_rng(devices=[]):
            _check_output_of(module, inputs, spec, "in training, " if mode else "")


def _check_output_of(module: nn.Module, inputs: Inputs, spec: AttentionSpec, mode: str) -> None:
    before = convert(inputs, torch.clone)
    y = run(module, inputs)
    if spec.contract in SAME_SHAPE:
        x = inputs[0]
        require(isinstance(y, Tensor), spec, f"{mode}returns a {type(y).__name__}, not a tensor")
        require(y.shape == x.shape, spec, f"{mode}{tuple(x.shape)} becomes {tuple(y.shape)}")
        require(y.dtype == x.dtype, spec, f"{mode}{x.dtype} becomes {y.dtype}")
    outputs = list(tensors_of(y))
    require(bool(outputs), spec, f"{mode}the output holds no tensor")
    finite = all(bool(t.isfinite().all()) for t in outputs)
    require(finite, spec, f"{mode}the output has non-finite values")
    for x, was in zip(tensors_of(inputs), tensors_of(before), strict=True):
        require(torch.equal(x, was), spec, f"{mode}the input is changed in place")


@conformance
def check_sizes(attention: Attention) -> None:
    """Odd, small and non-square maps, and a batch of one, keep their shape; so do maps of other
    widths, unless an option refuses these. Of what takes any size, one module sees them all: what
    it remembers of one size must not reach the next.
    """
    spec = spec_of(attention)
    module = build(spec).eval()
    for size in SIZES:
        x = sample_map(spec, batch=1, size=size)
        y = run(build(spec, size=size).eval(), x)
        require(y.shape == x.shape, spec, f"{tuple(x.shape)} becomes {tuple(y.shape)}")
        if not spec.insertion.needs_size:
            again = run(module, x)
            close(again, y, spec, f"after maps of other sizes, one of {size} gives something else")
    for width in WIDTHS:
        try:
            other = build(spec, channels=width).eval()
        except OptionError:
            continue
        x = sample_map(spec)[:, :1].expand(-1, width, -1, -1).contiguous()
        shape = tuple(run(other, x).shape)
        require(shape == x.shape, spec, f"with channels={width}, {tuple(x.shape)} becomes {shape}")


@conformance
def check_factory_arguments(attention: Attention) -> None:
    """`dtype=` and `device=` reach every parameter and buffer."""
    spec = spec_of(attention)
    double = build(spec, dtype=torch.float64)
    for name, tensor in _tensors(double):
        is_double = tensor.dtype == torch.float64 or not tensor.is_floating_point()
        require(is_double, spec, f"dtype=torch.float64 leaves {name} in {tensor.dtype}")
    for name, tensor in _tensors(build(spec, device="meta")):
        require(tensor.is_meta, spec, f"device='meta' leaves {name} on {tensor.device}")


@conformance
def check_batch_independence(attention: Attention) -> None:
    """In eval, the output of a sample does not depend on the rest of its batch."""
    spec = spec_of(attention)
    if not rows_are_independent(spec):
        raise SkipTest(f"{spec.name} takes no batch")
    module, inputs = build(spec).eval(), sample(spec)
    y = run(module, inputs)
    batch = len(next(tensors_of(inputs)))
    alone = [run(module, convert(inputs, lambda t, i=i: t[i : i + 1])) for i in range(batch)]
    for whole, *parts in zip(tensors_of(y), *map(tensors_of, alone), strict=True):
        if whole.ndim and len(whole) == batch and all(p.ndim and len(p) == 1 for p in parts):
            close(torch.cat(parts), whole, spec, "a sample alone and in its batch differ")


@conformance
def check_channels_last(attention: Attention) -> None:
    """Channels-last memory gives the same numbers."""
    spec = spec_of(attention)
    x = sample_map(spec)
    module = build(spec).eval()
    expected = run(module, x)
    layout: Any = torch.channels_last
    found = run(module.to(memory_format=layout), x.to(memory_format=layout))
    close(found, expected, spec, "channels-last memory changes the numbers")


@conformance
def check_mask(attention: Attention) -> None:
    """Padding at the end of the tokens, or of the memory, changes no output if masked out."""
    spec = spec_of(attention)
    if not spec.masked:
        raise SkipTest(f"{spec.name} takes no mask")
    module, inputs = build(spec).eval(), sample(spec)
    place = 1 if spec.contract == "context" else 0
    tokens = inputs[place]
    kept = tokens.shape[1] - 3
    short = (*inputs[:place], tokens[:, :kept], *inputs[place + 1 :])
    padded = tokens.clone()
    padded[:, kept:] = 1e3
    full = (*inputs[:place], padded, *inputs[place + 1 :])
    mask = (torch.arange(tokens.shape[1]) < kept).expand(tokens.shape[:2])
    found = next(tensors_of(run(module, full, mask=mask)))
    if spec.contract == "tokens":
        found = found[:, :kept]
    close(found, next(tensors_of(run(module, short))), spec, "masked padding changes the output")
    nothing = run(module, full, mask=torch.zeros_like(mask))
    finite = all(bool(t.isfinite().all()) for t in tensors_of(nothing))
    require(finite, spec, "where all is masked, the output is not finite")


@conformance
def check_randomness(attention: Attention) -> None:
    """Eval draws no random numbers; in training, one seed of `generator=` gives one result. One
    seed gives one start, and nobody seeds the global random state.
    """
    spec = spec_of(attention)
    _check_seeds(spec)
    module, inputs = build(spec), sample(spec)
    left = [name for name, part in module.eval().named_modules() if part.training]
    require(not left, spec, f"eval() leaves {left[0] or 'it'} in training" if left else "")
    random = torch.get_rng_state()
    first = run(module.eval(), inputs)
    same = torch.equal(torch.get_rng_state(), random)
    require(same, spec, "eval draws from the global random state")
    close(run(module, inputs), first, spec, "two calls in eval differ")
    if "generator" in inspect.signature(module.forward).parameters:
        close(*_drawn_twice(module.train(), inputs), spec, "one generator gives two results")


def _check_seeds(spec: AttentionSpec) -> None:
    one, other = (build(spec, seed=3).state_dict() for _ in range(2))
    close(one, other, spec, "one seed gives two starts; draw with torch")
    after: list[Tensor] = []
    for seed in (5, 6):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            run(build(spec, seed=None).train(), sample(spec))
            after.append(torch.get_rng_state())
    seeded = torch.equal(after[0], after[1])
    require(not seeded, spec, "the constructor or training seeds the global random state")


def _drawn_twice(module: nn.Module, inputs: Inputs) -> tuple[Any, Any]:
    """Two copies in training, the global random state moved on between them."""
    other = copy.deepcopy(module)
    first = run(module, inputs, generator=torch.Generator().manual_seed(5))
    with torch.random.fork_rng(devices=[]):
        torch.rand(7)
        return first, run(other, inputs, generator=torch.Generator().manual_seed(5))


@conformance
def check_copies(attention: Attention) -> None:
    """`copy.deepcopy`, `pickle` and a state dict carry all that the output depends on, what the
    module gathered in training too.
    """
    spec = spec_of(attention)
    module, inputs = build(spec).train(), sample(spec)
    with torch.random.fork_rng(devices=[]):
        run(module, convert(inputs, torch.clone))
    module.eval()
    expected = run(module, inputs)
    close(run(copy.deepcopy(module), inputs), expected, spec, "a deep copy computes something else")
    try:
        pickled = pickle.loads(pickle.dumps(module))
    except Exception as error:
        raise AssertionError(f"{spec.name}: it cannot be pickled: {error}") from error
    close(run(pickled, inputs), expected, spec, "a pickled copy computes something else")
    other = build(spec, seed=1).eval()
    other.load_state_dict(module.state_dict())
    close(run(other, inputs), expected, spec, "the state dict does not carry the whole state")


@conformance
def check_unknown_option(attention: Attention) -> None:
    """An option that the mechanism does not have is refused by name."""
    spec = spec_of(attention)
    try:
        build(spec, no_such_option=1)
    except OptionError as error:
        require("no_such_option" in str(error), spec, f"the error names no option: {error}")
        return
    raise AssertionError(f"{spec.name}: an unknown option is accepted silently")


def _tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]


BEHAVIOUR = (
    check_output,
    check_sizes,
    check_factory_arguments,
    check_batch_independence,
    check_channels_last,
    check_mask,
    check_randomness,
    check_copies,
    check_unknown_option,
)
