"""Building an attention and its inputs, which is what every check starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any
from unittest import SkipTest

import torch
from torch import Tensor, nn

from zoo.build.attention import build_attention
from zoo.errors import ZooError
from zoo.registry import default_registry, names
from zoo.registry.specs import MAPS, AttentionSpec
from zoo.registry.targets import resolve

Attention = str | AttentionSpec
Check = Callable[[Attention], None]
Inputs = tuple[Any, ...]

SAME_SHAPE = (*MAPS, "tokens")  # contracts of what keeps shape and dtype
CHANNELS = 64
TOKENS = 64
SIZES = ((8, 8), (7, 7), (5, 9), (9, 5), (14, 6), (2, 3))
SAMPLES: dict[str, tuple[tuple[int, ...], ...]] = {
    "tokens": ((TOKENS, CHANNELS),),
    "set": ((TOKENS, CHANNELS),),
    "context": ((5, CHANNELS), (9, CHANNELS)),
    "map_pair": ((CHANNELS, *SIZES[0]), (CHANNELS, *SIZES[0])),
    "head": ((CHANNELS, *SIZES[0]),),
}


def spec_of(attention: Attention) -> AttentionSpec:
    """The spec itself, or the spec of that name."""
    if isinstance(attention, AttentionSpec):
        return attention
    return names.attention(attention, default_registry())


def conformance(check: Check) -> Check:
    """A check whose failures are all of its documented kind, and name the mechanism.

    An error of the zoo says what and where by itself.
    """

    @wraps(check)
    def checked(attention: Attention) -> None:
        spec = spec_of(attention)
        try:
            check(spec)
        except (AssertionError, SkipTest, ZooError):
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:300]
            what = f"{spec.name}: {check.__name__} ended in {type(error).__name__}: {said}"
            raise AssertionError(what) from error

    return checked


def build(
    spec: AttentionSpec, *, size: tuple[int, int] = SIZES[0], seed: int | None = 0,
    channels: int = CHANNELS, **options: Any,
) -> nn.Module:  # fmt: skip
    """The module, with the options of the spec's example. Without a seed it draws from the global
    random state, and leaves that moved on.
    """
    if spec.insertion.needs_size:
        options["feat_size"] = size
    if spec.trial.example:
        options = {**_example(spec, batch=1)[0], **options}
    if seed is None:
        return build_attention(spec, default_registry(), channels, options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_attention(spec, default_registry(), channels, options)


def sample(spec: AttentionSpec, *, batch: int = 4, size: tuple[int, int] = SIZES[0]) -> Inputs:
    """Inputs for `forward`: those of the spec's example, else what the contract says."""
    if spec.trial.example:
        return _example(spec, batch)[1]
    random = torch.Generator().manual_seed(2)
    shapes = ((CHANNELS, *size),) if spec.contract in MAPS else SAMPLES.get(spec.contract)
    if shapes is None:
        raise SkipTest(f"contract {spec.contract!r} is tried with AttentionSpec(example=...) only")
    return tuple(torch.randn(batch, *shape, generator=random) for shape in shapes)


def sample_map(spec: AttentionSpec, *, batch: int = 4, size: tuple[int, int] = SIZES[0]) -> Tensor:
    """A map, for the checks that are about maps."""
    if spec.contract not in MAPS or spec.trial.example:
        raise SkipTest(f"{spec.name} does not take one map")
    return sample(spec, batch=batch, size=size)[0]


def rows_are_independent(spec: AttentionSpec) -> bool:
    """Whether the first dimension of every input is a batch."""
    function = (
        resolve(spec.trial.example, default_registry().owner(spec)) if spec.trial.example else None
    )
    return getattr(function, "batch_independent", True)


def run(module: nn.Module, inputs: Inputs | Tensor, **keywords: Any) -> Any:
    """A forward pass without gradients."""
    with torch.no_grad():
        return module(*(inputs if isinstance(inputs, tuple) else (inputs,)), **keywords)


def tensors_of(value: Any) -> Iterator[Tensor]:
    """The tensors of a nested output, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_of(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors_of(item)


def convert(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Nested inputs, with `change` made to each tensor."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {key: convert(item, change) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(convert(item, change) for item in value)
    return value


def doubled(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def require(condition: bool, spec: AttentionSpec, what: str) -> None:
    if not condition:
        raise AssertionError(f"{spec.name}: {what}")


def close(found: Any, expected: Any, spec: AttentionSpec, what: str) -> None:
    """Whether both nested outputs agree to 1e-4 relative or 1e-5 absolute."""
    ours, theirs = list(tensors_of(found)), list(tensors_of(expected))
    require(len(ours) == len(theirs), spec, f"{what}: {len(ours)} tensors, not {len(theirs)}")
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(
            a, b, rtol=1e-4, atol=1e-5, msg=lambda detail: f"{spec.name}: {what}. {detail}"
        )


def _example(spec: AttentionSpec, batch: int) -> tuple[dict[str, Any], Inputs]:
    function = resolve(spec.trial.example, default_registry().owner(spec))
    options, inputs = function(CHANNELS, batch, torch.Generator().manual_seed(2))
    return dict(options), tuple(inputs)
