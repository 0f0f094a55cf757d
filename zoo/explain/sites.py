"""What an attention did to the maps of the backbone that it was put into, whatever it is.

At each place of an attention f, the picture shows how much f let each position grow or shrink:
|f(x)| / |x|, with norms over the channels. For a gate, this is the gate itself, averaged over the
channels by their weight.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from zoo.runtime.model_record import record_of


def has_sites(model: nn.Module) -> bool:
    """Whether the zoo put an attention into the model, and noted the places."""
    return bool(_sites(model))


def _sites(model: nn.Module) -> list[str]:
    record = record_of(model)
    return record.sites if record is not None else []


@torch.no_grad()
def gains(model: Any, images: Tensor) -> dict[str, Tensor]:
    """f(x)| / |x| at the last place of each size of map, coarse and fine: (B, 1, H, W) by path.

    Places where f takes tokens, or does not keep the shape of the map, are left out.
    """
    found: dict[str, Tensor] = {}
    hooks = [
        _attention(model, path).register_forward_hook(partial(_record, found, path))
        for path in _sites(model)
    ]
    try:
        model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return {path: gain for path, gain in {g.shape: (p, g) for p, g in found.items()}.values()}


def _attention(model: nn.Module, path: str) -> nn.Module:
    """The attention itself, without what combines it with its input."""
    module = model.get_submodule(path)
    return getattr(module, "attn", module)


def _record(
    found: dict[str, Tensor], path: str, module: nn.Module, inputs: tuple[Tensor, ...], y: Any
) -> None:
    x = inputs[0]
    if isinstance(y, Tensor) and x.ndim == 4 and y.shape == x.shape:
        least = torch.finfo(x.dtype).eps
        ratio = y.norm(dim=1, keepdim=True) / x.norm(dim=1, keepdim=True).clamp(min=least)
        found[path] = ratio
