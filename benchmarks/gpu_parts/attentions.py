"""Every attention that refines a map: its time over that of one read and one write of the map."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from formulas.timm_layers import TIMM
from torch import Tensor, nn

from gpu_parts.session import Session
from gpu_parts.timing import copy_milliseconds, forward, milliseconds, training
from zoo.build.attention import build_attention
from zoo.registry import default_registry
from zoo.registry.specs import AttentionSpec

SHAPES = ((128, 256, 56, 56), (128, 512, 28, 28))
DRY_SHAPES, DRY_NAMES = ((2, 16, 6, 6),), ("se", "simam")
FUSED = ("se", "eca", "cbam", "simam", "coordinate", "global_context")
FIRST = (*FUSED, "bam", "non_local", "gather_excite", "effective_se", "ceca")


def refining() -> dict[str, AttentionSpec]:
    """Those that take and return one map, the ones of `FIRST` in front."""
    specs = {
        spec.name: spec
        for spec in default_registry().attentions.values()
        if spec.contract == "map" and spec.insertion.role == "refine"
    }
    return {name: specs[name] for name in (*FIRST, *specs) if name in specs}


def eager(session: Session) -> None:
    """Forward and training in eager mode, ours and timm's."""
    for name, shape in session.each(_settings(session), str):
        run = partial(_times, session, name, shape, False)
        session.attempt(run, name=name, shape=shape)


def compiled(session: Session) -> None:
    """The same under `torch.compile`; those of `FIRST` before the others."""
    for name, shape in session.each(_settings(session), str):
        run = partial(_times, session, name, shape, True)
        session.attempt(run, name=name, shape=shape)


def fused(session: Session) -> None:
    """The gates that have kernels, without and with them, and how far the outputs are apart."""
    pairs = [(name, shape) for shape in _shapes(session) for name in FUSED]
    for name, shape in session.each(pairs, str):
        run = partial(_fused, session, name, shape)
        session.attempt(run, name=name, shape=shape)


def _shapes(session: Session) -> tuple[tuple[int, ...], ...]:
    return DRY_SHAPES if session.dry else SHAPES


def _settings(session: Session) -> list[tuple[str, tuple[int, ...]]]:
    found = DRY_NAMES if session.dry else tuple(refining())
    return [(name, shape) for name in found for shape in _shapes(session)]


def _layer(name: str, shape: tuple[int, ...]) -> nn.Module:
    spec = default_registry().attentions[name]
    options = {"feat_size": shape[2:]} if spec.insertion.needs_size else {}
    torch.manual_seed(0)
    layer = build_attention(spec, default_registry(), shape[1], options)
    with torch.no_grad():
        for parameter in layer.parameters():  # off a start as the identity
            parameter.add_(torch.rand_like(parameter) * 0.05)
    return layer


def _times(session: Session, name: str, shape: tuple[int, ...], compile_it: bool) -> dict[str, Any]:
    x = _map(session, shape)
    unit = copy_milliseconds(session, x)
    row: dict[str, Any] = {"copy_ms": unit}
    theirs = TIMM[name](shape[1], (shape[2], shape[3])) if name in TIMM else None
    for who, layer in (("ours", _layer(name, shape)), ("timm", theirs)):
        if layer is not None:
            row |= {f"{who}_{key}": ms / unit
                    for key, ms in _both(session, layer, x, compile_it).items()}  # fmt: skip
    return row


def _both(session: Session, layer: nn.Module, x: Tensor, compile_it: bool) -> dict[str, float]:
    layer = layer.to(session.device, x.dtype).to(memory_format=torch.channels_last)
    torch.compiler.reset()
    run: Callable[[Tensor], Tensor] = layer
    if compile_it:
        run = torch.compile(layer, backend=session.backend)
    layer.eval()
    found = {"forward": milliseconds(session, forward(run, x))}
    layer.train()
    found["training"] = milliseconds(session, training(run, list(layer.parameters()), x))
    return found


def _map(session: Session, shape: tuple[int, ...]) -> Tensor:
    x = torch.randn(shape, device=session.device, dtype=torch.bfloat16)
    return x.to(memory_format=torch.channels_last)


def _fused(session: Session, name: str, shape: tuple[int, ...]) -> dict[str, Any]:
    x, found, outputs = _map(session, shape), {}, []
    unit = copy_milliseconds(session, x)
    try:
        for who, switch in (("plain", "0"), ("fused", "1")):
            os.environ["ZOO_FUSED"] = switch
            layer = _layer(name, shape)
            times = _both(session, layer, x, False)
            found |= {f"{who}_{key}": ms / unit for key, ms in times.items()}
            with torch.no_grad():
                outputs.append(layer.eval()(x).float())
    finally:
        os.environ["ZOO_FUSED"] = "0"
    plain, ours = outputs
    found["difference"] = float((ours - plain).abs().max() / plain.abs().max())
    return {"copy_ms": unit, **found}
