"""What a mechanism costs on one map: parameters, multiply-accumulates, bytes that must move."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from zoo.build.attention import build_attention
from zoo.errors import ZooError
from zoo.registry import Registry
from zoo.registry.specs import MAPS, AttentionSpec

CHANNELS, SIZE = 256, (28, 28)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one forward pass in float32.

    Attributes:
        parameters: their number.
        macs: multiply-accumulates of convolutions, matrix products and attention; sums, norms and
            activations are not counted (half of `torch.utils.flop_counter`).
        bytes: of input, output and parameters, each once: the least that must be moved.
    """

    parameters: int
    macs: int
    bytes: int


def cost(spec: AttentionSpec, registry: Registry) -> Cost | None:
    """The cost at (1, 256, 28, 28), or as many tokens; None for what takes no single map."""
    x = _sample(spec)
    if x is None:
        return None
    options = {"feat_size": SIZE} if spec.insertion.needs_size else {}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        try:
            module = build_attention(spec, registry, CHANNELS, options).eval().requires_grad_(False)
            with FlopCounterMode(display=False) as counter:
                y = module(x)
        except ZooError:
            return None
    if not isinstance(y, Tensor):
        return None
    parameters = sum(p.numel() for p in module.parameters())
    moved = 4 * (x.numel() + y.numel() + parameters)
    return Cost(parameters=parameters, macs=counter.get_total_flops() // 2, bytes=moved)


def _sample(spec: AttentionSpec) -> Tensor | None:
    if spec.contract in MAPS:
        return torch.randn(1, CHANNELS, *SIZE)
    if spec.contract in ("tokens", "set") and not spec.trial.example:
        return torch.randn(1, SIZE[0] * SIZE[1], CHANNELS)
    return None
