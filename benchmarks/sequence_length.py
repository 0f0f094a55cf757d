"""What attention costs as the number of positions N grows, beside softmax attention.

    OMP_NUM_THREADS=1 python benchmarks/sequence_length.py [--out benchmarks/sequence_length.json]
    python benchmarks/sequence_length.py --plot-only

Every self-attention of the zoo that claims less than N^2, at batch 1 and 64 channels on square maps
of 14 x 14 to 128 x 128 (or as many tokens), one head, float32. Time is processor time, so that
other work on the machine does not count: the least of several runs of forward in eval, and of
forward and backward in training. Memory is the peak that torch allocates in the latter, over what
was there before. An exponent is the slope of log cost over log N at the three largest N. Writes a
.json, and a .png beside it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own messages

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

import zoo
from zoo.registry import default_registry

CHANNELS = 64
SIDES = (14, 28, 56, 84, 128)
TAIL = 3  # largest sizes, of which an exponent is taken
ALLOWED = 0.3  # above the claimed exponent: tensors that outgrow the cache measure up to 0.26
LIMIT = 3 * 2**30


class Row(NamedTuple):
    """One line of the plot.

    Attributes:
        options: of the mechanism. claim: the exponent of N that its paper claims.
        takes: `map` (1, C, H, W), `tokens` (1, N, C), or `memory` (32 queries, N tokens).
    """

    name: str
    options: dict[str, Any]
    takes: str
    claim: float


ROWS = {
    "softmax, SDPA": Row("multi_head", {"num_heads": 1}, "tokens", 2.0),
    "softmax, as a matrix": Row("talking_heads", {"num_heads": 1}, "tokens", 2.0),
    "non_local, softmax": Row("non_local", {}, "map", 2.0),
    "emsa, reduction 2": Row("emsa", {"num_heads": 1}, "tokens", 2.0),
    "emsa, reduction 8": Row("emsa", {"num_heads": 1, "reduction": 8}, "tokens", 2.0),
    "axial": Row("axial", {}, "map", 1.5),
    "criss_cross": Row("criss_cross", {}, "map", 1.5),
    "non_local, dot product": Row("non_local", {"mode": "dot"}, "map", 1.0),
    "efficient": Row("efficient", {}, "map", 1.0),
    "external": Row("external", {}, "map", 1.0),
    "external_multihead": Row("external_multihead", {"num_heads": 1}, "tokens", 1.0),
    "ema_unit": Row("ema_unit", {}, "map", 1.0),
    "lambda_layer, 9 x 9": Row("lambda_layer", {}, "map", 1.0),
    "window, 7 x 7": Row("window", {}, "map", 1.0),
    "non_local_sparse": Row("non_local_sparse", {}, "map", 1.0),
    "clustered, 100": Row("clustered", {"num_heads": 1}, "tokens", 1.0),
    "improved clustered, 100": Row("clustered", {"num_heads": 1, "improved": True}, "tokens", 1.0),
    "smyrf, 4 x 64": Row("smyrf", {"num_heads": 1}, "tokens", 1.0),
    "random_feature, 128": Row("random_feature", {"num_heads": 1}, "tokens", 1.0),
    "random_feature, causal": Row(
        "random_feature", {"num_heads": 1, "causal": True}, "tokens", 1.0
    ),
    "random_feature, gated": Row("random_feature", {"num_heads": 1, "gated": True}, "tokens", 1.0),
    "isab, 32": Row("isab", {"num_heads": 1}, "tokens", 1.0),
    "perceiver, cross": Row("perceiver", {"block": "cross_attention"}, "memory", 1.0),
}


def build(row: Row, side: int) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The module, and an input of side^2 positions."""
    torch.manual_seed(0)
    options = dict(row.options)
    if default_registry().attentions[row.name].insertion.needs_size:
        options["feat_size"] = (side, side)
    module = zoo.create_attention(row.name, CHANNELS, **options)
    shapes = {
        "map": ((1, CHANNELS, side, side),),
        "tokens": ((1, side**2, CHANNELS),),
        "memory": ((1, 32, CHANNELS), (1, side**2, CHANNELS)),
    }[row.takes]
    return module, tuple(torch.randn(shape, requires_grad=True) for shape in shapes)


def steps(module: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, Callable[[], None]]:
    """What is measured."""

    def forward() -> None:
        module.eval()
        with torch.no_grad():
            module(*inputs)

    def training() -> None:
        module.train().zero_grad()
        module(*inputs).sum().backward()

    return {"forward": forward, "training": training}


def seconds(step: Callable[[], None], budget: float = 1.5) -> float:
    """The least of as many runs as fit the budget; two at least."""
    found: list[float] = []
    while len(found) < 2 or (sum(found) < budget and len(found) < 20):
        start = time.process_time()
        step()
        found.append(time.process_time() - start)
    return min(found)


def peak_bytes(step: Callable[[], None]) -> int:
    """The most memory that torch holds during a step beyond what it held before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as seen:
        step()
    results: Any = seen.profiler
    events = [e for e in results.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def measure(row: Row) -> dict[str, Any]:
    """Costs at each size; what would take more than `LIMIT`, by the last two sizes, is left out."""
    found: dict[str, Any] = {"positions": [], "forward_s": [], "training_s": [], "peak_bytes": []}
    for side in SIDES:
        peaks = found["peak_bytes"]
        if len(peaks) > 1 and peaks[-1] * (side**2 / found["positions"][-1]) ** 2 > LIMIT:
            if slope(found["positions"][-2:], peaks[-2:]) > 1.5:
                break
        actions = steps(*build(row, side))
        found["positions"].append(side**2)
        peaks.append(peak_bytes(actions["training"]))
        for name, action in actions.items():
            found[f"{name}_s"].append(seconds(action))
    for key in ("forward_s", "training_s", "peak_bytes"):
        found[f"exponent_{key}"] = round(slope(found["positions"][-TAIL:], found[key][-TAIL:]), 2)
    return found


def slope(x: list[float], y: list[float]) -> float:
    """Of log y over log x, by least squares."""
    xs, ys = [math.log(v) for v in x], [math.log(v) for v in y]
    mean = sum(xs) / len(xs)
    return sum((a - mean) * b for a, b in zip(xs, ys, strict=True)) / sum(
        (a - mean) ** 2 for a in xs
    )


def holds(row: dict[str, Any]) -> bool:
    """Whether neither time nor memory grows faster than claimed."""
    keys = ("exponent_forward_s", "exponent_training_s", "exponent_peak_bytes")
    return all(row[key] <= row["claim"] + ALLOWED for key in keys)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--only", nargs="+", metavar="NAME", help="measure these again")
    parser.add_argument("--plot-only", action="store_true")
    args = parser.parse_args()
    if not args.plot_only:
        rows: dict[str, Any] = json.loads(args.out.read_text())["rows"] if args.only else {}
        for label, row in ROWS.items():
            if args.only and row.name not in args.only:
                continue
            found = measure(row)
            rows[label] = {**row._asdict(), **found}
            rows[label]["claim_holds"] = holds(rows[label])
            print(label, {k: v for k, v in rows[label].items() if k.startswith(("exp", "claim"))})
        record = {
            "channels": CHANNELS, "batch_size": 1, "threads": torch.get_num_threads(),
            "machine": platform.machine(), "torch": torch.__version__, "allowed": ALLOWED,
            "rows": rows,
        }  # fmt: skip
        args.out.write_text(json.dumps(record, indent=1) + "\n")
    from sequence_length_plot import draw

    draw(json.loads(args.out.read_text()), args.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
