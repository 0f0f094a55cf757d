"""What a mechanism costs on one map, and a model on one image, counted in one forward pass.

`python -m zoo.build.costs FILE` counts the costs of every mechanism and every named model. `zoo
info` reads them from `costs.json` in the top package of the plugin (`zoo.registry.recorded_costs`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.build.attention import build_attention
from zoo.build.create import create_model
from zoo.errors import OptionError, ZooError
from zoo.registry import Registry, default_registry
from zoo.registry.specs import MAPS, AttentionSpec
from zoo.runtime.files import write_atomically
from zoo.runtime.multiplications import count_macs

CHANNELS, SIZE = 256, (28, 28)


def cost(spec: AttentionSpec, registry: Registry) -> dict[str, Any] | None:
    """The cost on a map (1, 256, 28, 28) or as many tokens; None for what takes no single map.

    Its keys are those of the record: `parameters`; `multiplications`, each with its addition, as
    `zoo.runtime.multiplications` counts them; `input_size`; and `bytes`, the sizes of input, output
    and parameters in float32, each counted once: the least that must be moved.
    """
    x = _sample(spec)
    if x is None:
        return None
    options = {"feat_size": SIZE} if spec.insertion.needs_size else {}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        try:
            module = build_attention(spec, registry, CHANNELS, options).eval().requires_grad_(False)
            macs, y = count_macs(lambda: module(x))
        except ZooError:
            return None
    if not isinstance(y, Tensor):
        return None
    parameters = sum(p.numel() for p in module.parameters())
    moved = 4 * (x.numel() + y.numel() + parameters)
    return {**_row(parameters, macs, tuple(x.shape[1:])), "bytes": moved}


def _sample(spec: AttentionSpec) -> Tensor | None:
    if spec.contract in MAPS:
        return torch.randn(1, CHANNELS, *SIZE)
    if spec.contract in ("tokens", "set") and not spec.trial.example:
        return torch.randn(1, SIZE[0] * SIZE[1], CHANNELS)
    return None


def model_cost(name: str) -> dict[str, Any]:
    """Parameters and multiply-accumulates of a model, for one image of its own size.

    They are counted on the meta device, without computing. Where values decide what is computed (a
    place to look at, for example), they are counted on the CPU. It raises as `create_model` does.
    """
    try:
        with torch.device("meta"):
            return _count(name)
    except (RuntimeError, NotImplementedError, OptionError):
        return _count(name)


def _count(name: str) -> dict[str, Any]:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        model = create_model(name).eval().requires_grad_(False)
        size = tuple(getattr(model, "pretrained_cfg", {}).get("input_size") or (3, 224, 224))
        macs, _ = count_macs(lambda: model(torch.rand(1, *size)))
    parameters = sum(p.numel() for p in model.parameters())
    return _row(parameters, macs, size)


def _row(parameters: int, macs: int, size: tuple[int, ...]) -> dict[str, Any]:
    return {"parameters": parameters, "multiplications": macs, "input_size": list(size)}


def count_all(registry: Registry) -> Mapping[str, Mapping[str, Any]]:
    """The costs of each mechanism that takes one map, and of each named model, by name."""
    found = {name: cost(spec, registry) for name, spec in sorted(registry.attentions.items())}
    attentions = {name: row for name, row in found.items() if row is not None}
    return {"attentions": attentions, "models": {n: model_cost(n) for n in sorted(registry.models)}}


def dumps(table: Mapping[str, Mapping[str, Any]]) -> str:
    """JSON with a line for each name."""
    parts: list[str] = []
    for kind, rows in table.items():
        lines = [f" {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items()]
        parts.append(f"{json.dumps(kind)}: {{\n" + ",\n".join(lines) + "\n}")
    return "{" + ",\n".join(parts) + "}\n"


if __name__ == "__main__":
    write_atomically(Path(sys.argv[1]), dumps(count_all(default_registry())).encode())
