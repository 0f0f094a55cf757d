"""Every mechanism on maps against its authors' formula and timm's layer: time and memory.

Token mixers that there is something to compare with get the places of the map as tokens.

    OMP_NUM_THREADS=1 python benchmarks/mechanisms.py [NAME...] [--again]

In one process and in turns, at (8, 256, 56, 56) and (8, 512, 28, 28): forward (eval, no gradients)
and forward with backward (train). A row is written as soon as it is measured, and rows that are
there are skipped, so that a run can be stopped and taken up again; --again measures them anew.
Where a batch of 8 would take too long, or with --batch, it is 2 or 1; the row says so.

Times are CPU time of the process. A comparison is the median over rounds of (theirs / ours), both
taken in the same round: above 1 ours is faster. The C library is told to keep freed memory, since
what a call pays for new pages depends on what ran before it. Memory is the peak that torch's
allocator held above what stood before the call, from its profiler. Writes
benchmarks/mechanisms.json and .md.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from formulas import FORMULAS
from formulas.timm_layers import TIMM
from mechanisms_table import table
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from zoo.build.attention import build_attention
from zoo.registry import default_registry
from zoo.registry.specs import AttentionSpec
from zoo.runtime.files import write_atomically

Run = Callable[[Tensor], Tensor]
REGISTRY = default_registry()
MAPS = ("map", "map_channels", "regulariser")
TOKENS = "tokens"  # of the places of the map; those that there is something to compare with
SHAPES = ((256, 56, 56), (512, 28, 28))
ROUNDS = (3, 15)
SLOW, VERY_SLOW = 0.12, 0.4  # seconds for one image, forward: then the batch is 2, then 1


def contenders(spec: AttentionSpec, channels: int, size: tuple[int, int]) -> dict[str, Any]:
    """Name -> (module, function of it and the map), ours first."""
    torch.manual_seed(0)
    options = {"feat_size": size} if spec.insertion.needs_size else {}
    ours = _shaken(build_attention(spec, REGISTRY, channels, options))
    found: dict[str, Any] = {"ours": (ours, lambda m, x: m(x))}
    if spec.name in FORMULAS:
        found["formula"] = (ours, FORMULAS[spec.name])
    layer = TIMM[spec.name](channels, size) if spec.name in TIMM else None
    if layer is not None:
        found["timm"] = (_shaken(layer), lambda m, x: m(x))
    return found


@torch.no_grad()
def _shaken(module: nn.Module) -> nn.Module:
    """Scales and shifts off their start: a gamma of zero would hide what it scales."""
    for parameter in (p for p in module.parameters() if p.ndim < 2):
        parameter.add_(torch.rand_like(parameter) * 0.05)
    return module


def forward(module: nn.Module, function: Any) -> Run:
    def run(x: Tensor) -> Tensor:
        with torch.no_grad():
            return function(module.eval(), x)

    return run


def backward(module: nn.Module, function: Any) -> Run:
    def run(x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        y = function(module.train(), x)
        y.backward(torch.ones_like(y))
        module.zero_grad(set_to_none=True)  # what stands when the next run starts is not counted
        assert x.grad is not None
        return x.grad

    return run


def seconds(run: Run, x: Tensor) -> float:
    start = time.process_time()
    run(x)
    return time.process_time() - start


def peak(run: Run, x: Tensor) -> int:
    """Bytes that torch's allocator held at once, above what stood before the call."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        kept = run(x)
    del kept
    held = most = 0
    for event in sorted(record.profiler.kineto_results.events(), key=lambda e: e.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


def compare(runs: dict[str, Run], x: Tensor, budget: float) -> dict[str, Any]:
    """Times (ms), ratios to ours, and peaks (MiB), in turns."""
    once = sum(seconds(run, x) for run in runs.values())  # and warm up
    rounds = int(min(max(budget / max(once, 1e-3), ROUNDS[0]), ROUNDS[1]))
    names, taken = list(runs), []
    for i in range(rounds):  # another one first in each round
        turn = i % len(names)
        taken.append({name: seconds(runs[name], x) for name in names[turn:] + names[:turn]})
    row: dict[str, Any] = {"rounds": rounds}
    for name in runs:
        row[f"{name}_ms"] = round(1e3 * statistics.median(t[name] for t in taken), 2)
        if name != "ours":
            ratio = statistics.median(t[name] / max(t["ours"], 1e-9) for t in taken)
            row[f"{name}_ratio"] = round(ratio, 3)
        if name != "clone":
            row[f"{name}_mib"] = round(peak(runs[name], x) / 2**20, 1)
    return row


def check_same(found: dict[str, Any], x: Tensor) -> None:
    """Our module and the formula compute the same."""
    if "formula" in found:
        ours, formula = (forward(*found[name])(x) for name in ("ours", "formula"))
        scale = float(ours.abs().max())
        torch.testing.assert_close(formula, ours, rtol=1e-3, atol=1e-4 * scale)


def measure(
    spec: AttentionSpec, shape: tuple[int, int, int], budget: float, most: int
) -> dict[str, Any]:
    channels, *size = shape
    found = contenders(spec, channels, (size[0], size[1]))
    x_shape = (size[0] * size[1], channels) if spec.contract == TOKENS else shape
    one = torch.randn(1, *x_shape)
    check_same(found, one)
    each = min(seconds(forward(*found["ours"]), one) for _ in range(2))
    batch = min(
        most, 1 if each > VERY_SLOW else 2 if each > SLOW or spec.insertion.quadratic else 8
    )
    x = torch.randn(batch, *x_shape)
    row: dict[str, Any] = {"batch": batch}
    for name, direction in (("forward", forward), ("backward", backward)):
        runs = {"clone": torch.clone} if name == "forward" else {}
        runs |= {key: direction(*each) for key, each in found.items()}
        row[name] = compare(runs, x, budget)
    return row


def keep_freed_memory() -> None:
    """No page faults after the first round (glibc; elsewhere nothing is done)."""
    mmap_max, trim_threshold = -4, -1
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, -1)


def main() -> None:
    keep_freed_memory()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--seconds", type=float, default=8.0, help="of rounds, each direction")
    parser.add_argument("--batch", type=int, default=8, help="at most")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    out: Path = args.out
    record = json.loads(out.read_text("utf-8")) if out.exists() else {"rows": {}}
    record["setting"] = {
        "threads": torch.get_num_threads(), "machine": platform.machine(),
        "torch": torch.__version__, "dtype": "float32",
    }  # fmt: skip
    compared = FORMULAS.keys() | TIMM.keys()
    specs = [
        s
        for s in REGISTRY.attentions.values()
        if (s.contract in MAPS and s.insertion.role != "none")
        or (s.contract == TOKENS and s.name in compared)
    ]
    for spec in sorted(specs, key=lambda s: s.name):
        for shape in SHAPES if not args.names or spec.name in args.names else ():
            rows, key = record["rows"].setdefault(spec.name, {}), "x".join(map(str, shape))
            if key in rows and not args.again:
                continue
            rows[key] = measure(spec, shape, args.seconds, args.batch)
            print(spec.name, key, json.dumps(rows[key]), flush=True)
            write_atomically(out, f"{json.dumps(record, indent=1, sort_keys=True)}\n".encode())
            write_atomically(out.with_suffix(".md"), table(record).encode())


if __name__ == "__main__":
    main()
