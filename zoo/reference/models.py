"""Running one entry of a models.json: a whole network, whose weights are drawn from its keys'
names.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.build.create import create_model
from zoo.errors import ReferenceCaseError, UnknownNameError
from zoo.reference.compare import OUTPUT_TOLERANCE, Comparison
from zoo.reference.mechanism import call_reference
from zoo.registry import Registry, names
from zoo.registry.specs import AttentionSpec, ModelSpec
from zoo.weights.keymaps import COUNTER, carry_over, map_keys

LIMIT = 2**31  # elements of a model's weights that a file may ask for
REQUIRED = ("name", "config", "keys", "seed", "gain", "num_params", "logits", "logits_std")


def read_models(path: Path) -> list[Mapping[str, Any]]:
    """The entries of a models.json.

    Raises:
        ReferenceCaseError: it is not JSON, or has no list of entries under `models`.
    """
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ReferenceCaseError(f"the file cannot be read as JSON: {str(error)[:200]}") from error
    entries = table.get("models") if isinstance(table, dict) else None
    if not isinstance(entries, list):
        raise ReferenceCaseError("the file has no list 'models'")
    return [entry if isinstance(entry, dict) else {} for entry in entries]


def run_model(
    entry: Mapping[str, Any], spec: ModelSpec | AttentionSpec, registry: Registry, device: str
) -> tuple[Comparison, Comparison]:
    """Build the network, draw its weights, and compare parameters and logits (no gradients)."""
    _check(entry)
    model = create_model(entry["name"], registry=registry, **entry["config"]).eval()
    carry_over(
        map_keys(spec.provenance.key_map, _draw_state(entry), model, registry.owner(spec)), model
    )
    model.to(device)
    with torch.inference_mode():
        model_spec = spec if isinstance(spec, ModelSpec) else None
        inputs = tuple(tensor.to(device) for tensor in _inputs(entry))
        returned = call_reference(model_spec, registry, model, inputs)
    comparison = Comparison()
    _compare_parameters(comparison, entry, model)
    _compare_logits(comparison, entry, _first_tensor(returned))
    return comparison, Comparison()


def spec_of(name: str, registry: Registry) -> ModelSpec | AttentionSpec:
    """The spec whose key map belongs to a model: its own, or that of the mechanism in a
    composition.

    Raises:
        UnknownNameError: no plugin has the model.
    """
    read = names.parse(name, registry)
    spec = read.spec or read.attention
    if spec is None:
        raise UnknownNameError(f"no plugin has a model {name!r}")
    return spec


def draw(key: str, shape: Sequence[int], seed: int, gain: float) -> Tensor:
    """The weights of one key, from the name of the key alone, by the rule of models.md."""
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()) ^ seed))
    leaf = key.rsplit(".", 1)[-1]
    if leaf == COUNTER:
        return torch.zeros(tuple(shape), dtype=torch.int64)
    if leaf == "running_mean" or (leaf == "bias" and len(shape) == 1):
        values = generator.standard_normal(shape) * 0.1
    elif leaf == "running_var" or len(shape) < 2:
        values = generator.uniform(0.5, 1.5, shape)
    else:
        values = generator.standard_normal(shape) * (gain / np.sqrt(np.prod(shape[1:])))
    return torch.from_numpy(np.asarray(values, np.float32))


def _check(entry: Mapping[str, Any]) -> None:
    missing = [key for key in REQUIRED if key not in entry]
    if missing:
        raise ReferenceCaseError(f"the entry has no {missing[0]!r}")
    keys, config = entry["keys"], entry["config"]
    if not isinstance(keys, dict) or not isinstance(config, dict):
        raise ReferenceCaseError("'keys' and 'config' are not tables")
    for key, shape in keys.items():
        if not _is_shape(shape):
            raise ReferenceCaseError(f"the shape of {key[:80]!r} is {str(shape)[:60]}")
    if sum(math.prod(shape) for shape in keys.values()) > LIMIT:
        raise ReferenceCaseError(f"the weights have more than {LIMIT} elements")
    if not isinstance(entry["logits"], dict):
        raise ReferenceCaseError("'logits' is not a table")
    for key in ("seed", "gain", "num_params", "logits_std"):
        value = entry[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ReferenceCaseError(f"{key!r} is {str(value)[:60]!r}")


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list) and all(type(n) is int and 0 <= n < 2**31 for n in shape)


def _draw_state(entry: Mapping[str, Any]) -> dict[str, Tensor]:
    fixed = set(entry.get("fixed_keys") or ())  # buffers that the constructor computes
    seed, gain = int(entry["seed"]), float(entry["gain"])
    return {k: draw(k, shape, seed, gain) for k, shape in entry["keys"].items() if k not in fixed}


def _inputs(entry: Mapping[str, Any]) -> list[Tensor]:
    """x, standard normal; and l0, the first location, uniform on [-1, 1] with a seed of its own."""
    shapes: Any = entry.get("inputs") or {"x": entry.get("input_shape")}
    if not isinstance(shapes, dict) or not all(_is_shape(shape) for shape in shapes.values()):
        raise ReferenceCaseError("'input_shape' is not a shape")
    if sum(math.prod(shape) for shape in shapes.values()) > LIMIT:
        raise ReferenceCaseError("the input is too large")
    return [_draw_input(name, shape, int(entry["seed"])) for name, shape in shapes.items()]


def _draw_input(name: str, shape: Sequence[int], seed: int) -> Tensor:
    generator = np.random.Generator(np.random.PCG64(seed if name == "x" else seed + 1000))
    image = name == "x"
    values = generator.standard_normal(shape) if image else generator.uniform(-1, 1, shape)
    return torch.from_numpy(np.asarray(values, np.float32))


def _first_tensor(returned: Any) -> Tensor:
    while isinstance(returned, tuple | list) and returned:
        returned = returned[0]
    if not isinstance(returned, Tensor):
        raise ReferenceCaseError(f"the model returned a {type(returned).__name__}, not logits")
    return returned


def _compare_parameters(comparison: Comparison, entry: Mapping[str, Any], model: nn.Module) -> None:
    count = sum(p.numel() for p in model.parameters())
    if count not in (entry["num_params"], entry.get("num_params_live")):
        comparison.refuse(f"{count} parameters, not {entry['num_params']}")


def _compare_logits(comparison: Comparison, entry: Mapping[str, Any], logits: Tensor) -> None:
    allowed = OUTPUT_TOLERANCE * max(1.0, entry["logits_std"])
    allowed += 10 * float(entry.get("float32_error") or 0)
    ours = logits.detach().cpu()
    shape = entry.get("logits_shape")
    if shape is not None and list(ours.shape) != shape:
        comparison.refuse(f"logits have shape {list(ours.shape)}, not {shape}")
        return
    flat = ours.flatten(1).double()
    for where, row in (("first", 0), ("last", -1)):
        theirs = torch.tensor(entry["logits"].get(where) or [], dtype=torch.float64)
        some = flat[row, : theirs.numel()]
        if some.numel() != theirs.numel() or not theirs.numel():
            comparison.refuse(f"the entry's {where} logits do not fit the output")
            return
        difference = float((some - theirs).abs().max())
        comparison.number(f"logits of the {where} sample", difference, allowed)
    for key, value in _statistics(ours).items():
        if key in entry:
            comparison.number(key, abs(value - entry[key]), allowed)


def _statistics(logits: Tensor) -> dict[str, float]:
    """Numbers that see every output."""
    generator = np.random.Generator(np.random.PCG64(99))
    weights = generator.standard_normal(tuple(logits.shape)).astype(np.float32)
    values = logits.double()
    probe = (values * torch.from_numpy(weights).double()).sum() / math.sqrt(values.numel())
    return {
        "logits_mean": values.mean().item(),
        "logits_std": values.std().item(),
        "probe": probe.item(),
    }
