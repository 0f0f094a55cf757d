"""What an untrained mechanism does to the features of photographs.

Of a gate, the gain y / x: how much each position, and each channel, is let through. Whether it is a
gate is tried out: what is 0 in x must be 0 in y. Of anything else, where the output at one position
comes from: the size of the gradient of that output with respect to x at each position.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.registry.specs import MAPS, AttentionSpec
from zoo.testing import trial

from . import features
from .colours import is_flat

SIZE, SMALL = 56, 28


@dataclass(frozen=True, slots=True)
class Effect:
    """What was found.

    Attributes:
        kind: `gain`, or `influence` on one position.
        maps: (B, H, W), one for each photograph.
        channels: (B, C), of a gate the mean gain of each channel.
        position: (row, column) of the output, of an influence.
        itself: of an influence, the position's on itself, divided by the largest elsewhere.
        opened: parameters that start at 0, so that the mechanism starts as a constant times x; they
            were set to 1.
    """

    kind: Literal["gain", "influence"]
    maps: Tensor
    channels: Tensor | None = None
    position: tuple[int, int] = (0, 0)
    itself: float = 0.0
    opened: tuple[str, ...] = ()

    @property
    def says_nothing(self) -> bool:
        """Whether it is one constant at all positions and in all channels."""
        flat = self.channels is not None and is_flat(self.channels)
        return self.kind == "gain" and flat and is_flat(self.maps)


def effect(spec: AttentionSpec) -> Effect | None:
    """The effect of a mechanism with its own random start, seed 0; None if it takes no one map."""
    if spec.contract not in MAPS and (spec.contract != "tokens" or spec.trial.example):
        return None
    try:
        found = _effect(spec, _built(spec, SMALL), SMALL)
        return found if found is None or found.kind == "influence" else _at_full_size(spec, found)
    except Exception:  # it needs more than a map: its contract, or its docstring, says what
        return None


def _at_full_size(spec: AttentionSpec, found: Effect) -> Effect:
    if spec.insertion.quadratic or spec.insertion.needs_size:
        return found
    return _effect(spec, _built(spec, SIZE), SIZE) or found


def _built(spec: AttentionSpec, size: int) -> nn.Module:
    return trial.build(spec, size=(size, size)).eval()


def _effect(spec: AttentionSpec, module: nn.Module, size: int) -> Effect | None:
    """The effect; of what starts as a constant times x, with the parameters opened that are 0."""
    found = _measured(spec, module, size)
    if found is not None and not found.says_nothing:
        return found
    opened = _open(module)
    again = _measured(spec, module, size) if opened else None
    return replace(again, opened=opened) if again else found


def _open(module: nn.Module) -> tuple[str, ...]:
    """Set the scales that start at 0 to 1, and say which they are."""
    closed = [
        (name, parameter)
        for name, parameter in module.named_parameters()
        if not name.endswith("bias") and parameter.ndim and bool((parameter == 0).all())
    ]
    for _, parameter in closed:
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5,
                            generator=torch.Generator().manual_seed(3))  # fmt: skip
        else:
            nn.init.ones_(parameter)
    return tuple(name for name, _ in closed)


def _measured(spec: AttentionSpec, module: nn.Module, size: int) -> Effect | None:
    is_map = spec.contract in MAPS
    x = features.maps(size)
    y = _run(module, x if is_map else _tokens(x))
    if not isinstance(y, Tensor) or not torch.isfinite(y).all():
        return None
    if is_map and y.shape == x.shape and _is_gate(module, x):
        gain = y / x
        return Effect("gain", gain.mean(1), gain.mean((2, 3)))
    return _influence(module, x, is_map)


def _run(module: nn.Module, x: Tensor) -> Any:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return module(x)


def _tokens(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H W, C)."""
    return x.flatten(2).transpose(1, 2)


def _is_gate(module: nn.Module, x: Tensor) -> bool:
    """Whether y is 0 wherever x is: then y is x times something."""
    kept = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) > 0.1
    y = _run(module, x * kept)
    return bool((y[~kept] == 0).all()) and bool((y[kept] != 0).any())


def _influence(module: nn.Module, x: Tensor, is_map: bool) -> Effect | None:
    """|d (v . y_p) / d x_q| over all q, for the middle position p and a random direction v."""
    size = x.shape[-1]
    given = x.clone().requires_grad_()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        y = module(given if is_map else _tokens(given))
    if not is_map and y.ndim == 3 and y.shape[1] == size * size:
        y = y.transpose(1, 2).unflatten(2, (size, size))
    if y.ndim != 4 or not y.requires_grad:
        return None
    row, column = y.shape[2] // 2, y.shape[3] // 2
    v = torch.randn(y.shape[1], generator=torch.Generator().manual_seed(2))
    total = torch.einsum("bc,c->", y[:, :, row, column], v)
    (gradient,) = torch.autograd.grad(total, given)
    return _elsewhere(gradient.norm(dim=1), row * size // y.shape[2], column * size // y.shape[3])


def _elsewhere(maps: Tensor, row: int, column: int) -> Effect | None:
    """Shares of the largest influence on a position that is not its own."""
    own = maps[:, row, column].clone()
    maps = maps.detach().clone()
    maps[:, row, column] = 0
    largest = maps.flatten(1).amax(1)
    if not bool((largest > 1e-6 * own.clamp(min=1e-12)).all()):
        return None
    itself = float((own / largest).median())
    shares = maps / largest[:, None, None]
    return Effect("influence", shares, position=(row, column), itself=itself)
