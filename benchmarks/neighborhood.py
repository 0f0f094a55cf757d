"""Neighbourhood attention against NATTEN, the library of its authors, on the CPU.

    pip install natten
    OMP_NUM_THREADS=1 python benchmarks/neighborhood.py

The same weights on the same maps, without the relative position bias, which NATTEN no longer has.
NATTEN's own kernels need CUDA. On a CPU it computes by torch's FlexAttention and refuses to compile
it, so that every score is held: `natten`. Where there is no dilation, two more stand beside it:
`flex` is FlexAttention with the mask of the windows, compiled by `torch.compile` (torch 2.15 does
not compile the mask with dilation for a CPU), and `unfolded` copies every window out of the map.
The layer's two projections are in all times. Forward only. Times are CPU milliseconds of the
process, medians of interleaved rounds. Writes benchmarks/neighborhood.json.
"""

from __future__ import annotations

import json
import statistics
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from formulas import FORMULAS
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

import zoo
from zoo.runtime.files import write_atomically

ROUNDS = 5
BATCH, CHANNELS, HEADS, WINDOW = 2, 256, 8, 7
SETTINGS = ((28, 1), (28, 4), (56, 1))  # side of the map, dilation
Run = Callable[[Tensor], Tensor]


def main() -> None:
    rows = []
    for side, dilation in SETTINGS:
        rows.append({"side": side, "dilation": dilation, **compared(side, dilation)})
        print(json.dumps(rows[-1]), flush=True)
    content = {
        "batch": BATCH, "channels": CHANNELS, "num_heads": HEADS, "kernel_size": WINDOW,
        "threads": torch.get_num_threads(), "rounds": ROUNDS,
        "torch": torch.__version__, "natten": version("natten"), "rows": rows,
    }  # fmt: skip
    out = Path(__file__).with_suffix(".json")
    write_atomically(out, f"{json.dumps(content, indent=1)}\n".encode())


@torch.no_grad()
def compared(side: int, dilation: int) -> dict[str, Any]:
    torch.manual_seed(0)
    ours = zoo.create_attention(
        "neighborhood", CHANNELS, num_heads=HEADS, kernel_size=WINDOW, dilation=dilation,
        rel_pos_bias=False,
    ).eval()  # fmt: skip
    runs: dict[str, Run] = {"ours": ours, "natten": by_natten(ours)}
    if dilation == 1:
        runs["flex"] = by_flex(ours, side)
        runs["unfolded"] = lambda x: FORMULAS["neighborhood"](ours, x)
    x = torch.randn(BATCH, CHANNELS, side, side)
    difference = max(float((run(x) - ours(x)).abs().max()) for run in runs.values())
    times = [{name: seconds(run, x) for name, run in runs.items()} for _ in range(ROUNDS)]
    row = {f"{name}_ms": round(1e3 * statistics.median(t[name] for t in times), 2) for name in runs}
    for name in runs.keys() - {"ours"}:
        row[f"{name}_ratio"] = round(statistics.median(t[name] / t["ours"] for t in times), 2)
    return {**row, "largest_difference": difference}


def by_natten(ours: Any) -> Run:
    """The layer with NATTEN's `na2d` between our projections."""
    import natten  # pyright: ignore[reportMissingImports]

    def run(x: Tensor) -> Tensor:
        maps = x.permute(0, 2, 3, 1)
        q, k, v = ours.qkv(maps).unflatten(-1, (3, ours.num_heads, -1)).unbind(3)
        y = natten.na2d(
            q, k, v, kernel_size=ours.kernel_size, dilation=ours.dilation, backend="flex-fna"
        )
        return ours.proj(y.flatten(3)).permute(0, 3, 1, 2)

    return run


def by_flex(ours: Any, side: int) -> Run:
    """The layer with compiled FlexAttention between our projections."""
    kernel_size = ours.kernel_size

    def near(query: Tensor, key: Tensor) -> Tensor:
        first = (query - kernel_size // 2).clamp(0, side - kernel_size)
        return (key >= first) & (key < first + kernel_size)

    def mask(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return near(query // side, key // side) & near(query % side, key % side)

    places = side * side
    blocks = create_block_mask(mask, None, None, places, places, device="cpu")
    compiled = torch.compile(flex_attention)

    def run(x: Tensor) -> Tensor:
        maps = x.permute(0, 2, 3, 1).flatten(1, 2)
        q, k, v = ours.qkv(maps).unflatten(-1, (3, ours.num_heads, -1)).unbind(2)
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        y = compiled(q, k, v, block_mask=blocks).transpose(1, 2).flatten(2)
        return ours.proj(y).transpose(1, 2).unflatten(2, (side, side))

    return run


def seconds(run: Run, x: Tensor) -> float:
    start = time.process_time()
    run(x)
    return time.process_time() - start


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
