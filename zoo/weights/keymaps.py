"""Carrying the state dict of the authors over to a module, strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from zoo.errors import PluginError, WeightsMismatchError
from zoo.registry.specs import KeyMap
from zoo.registry.targets import resolve

COUNTER = "num_batches_tracked"


def map_keys(
    key_map: KeyMap, state: Mapping[str, Tensor], module: nn.Module, owner: str
) -> dict[str, Tensor]:
    """The state of the authors, under the names of the module.

    Args:
        key_map: pairs (pattern, replacement), each applied in turn to every key by `re.sub`; a key
            that becomes empty is dropped. Or the target of a function `(state, module) -> state`.
        owner: the plugin, for messages.

    Raises:
        WeightsMismatchError: two keys become one.
        PluginError: the map itself is broken.
    """
    if isinstance(key_map, str):
        mapped = resolve(key_map, owner)(state, module)
        if not isinstance(mapped, Mapping):
            raise PluginError(f"key map {key_map!r} returned no state dict", where=owner)
        return dict(mapped)
    found: dict[str, Tensor] = {}
    for theirs, tensor in state.items():
        ours = rename(key_map, theirs, owner)
        if ours in found:
            raise WeightsMismatchError(f"two of the authors' keys become {ours!r}", where=theirs)
        if ours:
            found[ours] = tensor
    return found


def rename(key_map: tuple[tuple[str, str], ...], key: str, owner: str) -> str:
    """One key after every pair of the map was applied."""
    try:
        for pattern, replacement in key_map:
            key = re.sub(pattern, replacement, key)
    except (re.error, IndexError) as error:
        raise PluginError(f"the key map is broken: {error}", where=owner) from error
    return key


@torch.no_grad()
def carry_over(state: Mapping[str, Tensor], module: nn.Module) -> None:
    """Load `state`, which has the names of the zoo: every key is used and every parameter is
    filled.

    A shape may differ by trailing ones only, as between a linear layer and a 1x1 convolution. Batch
    counters may be absent on either side, and buffers that the module computes may be absent in the
    state.

    Raises:
        WeightsMismatchError: keys are left over or missing; the message names them.
    """
    own = module.state_dict(keep_vars=True)
    unused = sorted(k for k in state.keys() - own.keys() if not k.endswith(COUNTER))
    parameters = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    missing = sorted(parameters - state.keys())
    if unused or missing:
        parts = (("not used", unused), ("not filled", missing))
        text = "; ".join(f"{what}: {_some(keys)}" for what, keys in parts if keys)
        raise WeightsMismatchError(f"the authors' weights do not fit the module; {text}")
    for name, tensor in state.items():
        if name in own:
            _fill(own[name], tensor, name)


def _fill(own: Tensor, tensor: Tensor, name: str) -> None:
    if _trim(own.shape) != _trim(tensor.shape):
        raise WeightsMismatchError(
            f"{name}: shape {list(tensor.shape)} of the authors, {list(own.shape)} of the module"
        )
    own.copy_(tensor.reshape(own.shape))


def _trim(shape: torch.Size) -> tuple[int, ...]:
    sizes = list(shape)
    while sizes and sizes[-1] == 1:
        sizes.pop()
    return tuple(sizes)


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")
