"""Digests that tell whether a host is the one that an attention was added to.

What was added does not count, so a host has the same digests with it and without.
"""

from __future__ import annotations

import hashlib
import json

import torch
from torch import Tensor, nn

from zoo.hosts import swap


def host_state(model: nn.Module) -> dict[str, Tensor]:
    """The state of a host as it is without what was added."""
    state = {k: t for k, t in model.state_dict().items() if isinstance(t, Tensor)}
    for path, module in list(model.named_modules(remove_duplicate=False)):
        if swap.RECORD not in vars(module):
            continue
        state = {key: t for key, t in state.items() if not key.startswith(f"{path}.")}
        for stood in vars(module).get(swap.STOOD, ()):
            own = stood.state_dict() if stood is not None else {}
            state |= {f"{path}.{key}": t for key, t in own.items()}
    return state


def architecture(model: nn.Module) -> str:
    """A digest of the names and shapes of a host's tensors."""
    rows = sorted((key, list(t.shape)) for key, t in host_state(model).items())
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def digest(model: nn.Module) -> str:
    """A digest of the values of a host's tensors."""
    found = hashlib.sha256()
    for key, tensor in sorted(host_state(model).items()):
        found.update(f"{key}:{tensor.dtype}:".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        if flat.numel():
            found.update(memoryview(flat.view(torch.uint8).numpy()))  # pyright: ignore
    return found.hexdigest()
