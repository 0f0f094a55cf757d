"""Residual attention networks against their own trunks, and against the popular port's form.

    python benchmarks/residual_attention.py [--threads 1] [--rounds 5] [--out FILE]

Three networks of the same widths take turns in one process: ours, ours without masks, and the
port's computation (`form="tengshaofeng"`) in the port's memory format (NCHW, as its scripts run it;
here without the parameters that it owns and never uses). Images per second of the forward in eval
mode and of a training step (forward, backward, SGD), the median of the rounds, in processor time:
with one thread that is what a core of its own would give. Peak memory is what a call holds at once
beyond what is held before it, by the profiler's record of PyTorch's allocations.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

import zoo

SETTINGS = (
    ("residual_attention_56", 224, 4),
    ("residual_attention_56", 224, 16),
    ("residual_attention_56_cifar", 32, 32),
)
FORMS: dict[str, dict[str, Any]] = {
    "ours": {},
    "trunk alone": {"mask": "none"},
    "port": {"form": "tengshaofeng"},
}


def build(name: str, form: str) -> nn.Module:
    torch.manual_seed(0)
    model: Any = zoo.create_model(name, **FORMS[form])
    model.channels_last_on_cpu = form != "port"
    return model


def evaluation(model: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    def run() -> None:
        model.eval()
        with torch.inference_mode():
            model(x)

    return run


def training(model: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9, nesterov=True)
    labels = torch.arange(len(x)) % 10

    def run() -> None:
        model.train()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return run


def peak(run: Callable[[], None]) -> int:
    """Bytes that a call holds at once, beyond what is held before it."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run()
    held = most = 0
    recorded: Any = seen.profiler
    for event in recorded.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


def measure(name: str, size: int, batch: int, rounds: int) -> list[dict[str, Any]]:
    x = torch.randn(batch, 3, size, size)
    models = {form: build(name, form) for form in FORMS}
    rows: list[dict[str, Any]] = []
    for mode, prepare in (("eval", evaluation), ("training step", training)):
        runs = {form: prepare(model, x) for form, model in models.items()}
        memory = {form: peak(run) for form, run in runs.items()}  # warms up, too
        times: dict[str, list[float]] = {form: [] for form in runs}
        for _ in range(rounds):
            for form, run in runs.items():
                start = time.process_time()
                run()
                times[form].append(time.process_time() - start)
        medians = {form: statistics.median(values) for form, values in times.items()}
        for form, seconds in medians.items():
            rows.append({
                "model": name, "size": size, "batch": batch, "mode": mode, "form": form,
                "parameters": sum(p.numel() for p in models[form].parameters()),
                "images_per_second": round(batch / seconds, 2),
                "peak_mebibytes": round(memory[form] / 2**20, 1),
                "times_the_port": round(medians["port"] / seconds, 2),
            })  # fmt: skip
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = [row for s in SETTINGS for row in measure(*s, given.rounds)]
    about = {
        "torch": torch.__version__, "processor": platform.processor() or platform.machine(),
        "threads": given.threads, "rounds": given.rounds, "dtype": "float32",
    }  # fmt: skip
    given.out.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
