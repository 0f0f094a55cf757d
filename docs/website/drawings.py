"""Everything about a mechanism that takes a run of it: made by several processes, kept in files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo.errors import ZooError
from zoo.registry import default_registry, names
from zoo.registry.specs import AttentionSpec
from zoo.runtime.files import write_atomically
from zoo.testing import trial

from .flow.svg import draw
from .flow.trace import trace
from .pictures import effects, features
from .pictures.colours import Scale, is_flat, save
from .records import ROOT, digest

MOST = 60  # nodes that a drawing may have
FEW = 12  # for fewer it is not worth to start processes
OWN = [Path(__file__).parent / folder for folder in ("flow", "pictures", "photographs")]


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a run of a mechanism showed.

    Attributes:
        flow: an SVG of its data flow; empty if there is none that one could read.
        tree: its modules as text.
        effect: what it does to a photograph, as plain data; None if it takes no one map.
        constant: c, if it can start as c x.
    """

    name: str
    flow: str
    tree: str
    effect: dict[str, Any] | None
    constant: float | None


def kept(wanted: Sequence[str], folder: Path) -> dict[str, Drawing]:
    """The drawings of mechanisms by name, each made now or kept from a run of equal code.

    Args:
        wanted: names of mechanisms.
        folder: where they are kept; the maps are `<folder>/effects/<name>-<photograph>.png`.
    """
    file = folder / "drawings.json"
    key = digest((ROOT / "zoo", ROOT / "plugins" / "zoo_plugins", *OWN))
    before = json.loads(file.read_bytes()) if file.exists() else {}
    rows = before["drawings"] if before.get("key") == key else {}
    for made in _made([name for name in wanted if name not in rows], folder / "effects"):
        rows[made.name] = asdict(made)
        write_atomically(file, json.dumps({"key": key, "drawings": rows}).encode())
    return {name: Drawing(**rows[name]) for name in wanted}


def _made(wanted: Sequence[str], pictures: Path) -> Iterator[Drawing]:
    workers = min(2, os.cpu_count() or 1)
    if workers < 2 or len(wanted) < FEW:
        yield from (drawing(name, pictures) for name in wanted)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        yield from pool.map(drawing, wanted, [pictures] * len(wanted))


def drawing(name: str, pictures: Path) -> Drawing:
    """All of one mechanism."""
    spec = names.attention(name, default_registry())
    module = trial.build(spec).eval()
    flow = _flow(spec, module)
    return Drawing(name, flow, _tree(module), _effect(spec, pictures), _constant(spec))


def _flow(spec: AttentionSpec, module: nn.Module) -> str:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        nodes = trace(module, trial.sample(spec, batch=1))
    return draw(nodes, f"The data flow of {spec.name}") if len(nodes) <= MOST else ""


def _tree(module: nn.Module) -> str:
    return "\n".join(str(module).splitlines()[:80])


def _constant(spec: AttentionSpec) -> float | None:
    if spec.insertion.identity != "exact" or spec.insertion.role != "refine":
        return None
    try:
        module: Any = trial.build(spec)
        value = module.init_identity()
    except (ZooError, AttributeError):
        return None
    return None if value is None else float(value)


def _effect(spec: AttentionSpec, pictures: Path) -> dict[str, Any] | None:
    found = effects.effect(spec)
    if found is None:
        return None
    scale = Scale.of(found.maps)
    for name, values in zip(features.names(), found.maps, strict=True):
        save(values, scale, pictures / f"{spec.name}-{name}.png")
    return {
        "kind": found.kind,
        "low": scale.low, "high": scale.high,
        "constant": float(found.maps.mean()) if found.says_nothing else None,
        "flat": all(is_flat(values) for values in found.maps),
        "channels": found.channels.tolist() if found.channels is not None else None,
        "position": list(found.position),
        "size": found.maps.shape[-1],
        "itself": found.itself,
        "opened": list(found.opened),
    }  # fmt: skip
