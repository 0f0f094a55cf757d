"""`zoo.create_model(name, pretrained=True)` against timm's of the same weights, from a warm cache.

    python benchmarks/pretrained.py [--rounds 7]

Every run is a process of its own, interleaved, with a Hub on loopback (the one of the tests); timm
and torch are imported before the clock starts. CPU and wall time of the first call (which opens the
connection and reads the manifests), how far the peak of the process's memory rose over it and the
first forward pass, and the CPU time of a call after it; medians. Writes benchmarks/pretrained.json.
Linux (`/proc`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RECORD = Path(__file__).with_suffix(".json")
PAIRS = {"se_resnet50": "seresnet50.a1_in1k", "resnet50": "resnet50.a1_in1k"}


def child(who: str, name: str) -> dict[str, Any]:
    """One load and one forward pass, in this process."""
    import timm
    import torch

    import zoo.build.create

    creators = {"zoo": zoo.build.create.create_model, "timm": timm.create_model}
    if who == "zoo":
        zoo.list_models()
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    torch.conv2d(x, torch.ones(8, 3, 3, 3))
    base = _status("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    model = creators[who](name, pretrained=True)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    with torch.inference_mode():
        logits = model.eval()(x)
    peak = _status("VmHWM") - base
    digest = hashlib.sha256(logits.numpy().tobytes())
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode() + tensor.numpy().tobytes())
    again = []
    for _ in range(3):
        start = time.process_time()
        model = creators[who](name, pretrained=True)
        again.append(time.process_time() - start)
    return {
        "first_cpu_s": cpu, "first_wall_s": wall, "cpu_s": statistics.median(again),
        "peak_mb": peak, "digest": digest.hexdigest(),
    }  # fmt: skip


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def fill(hub: Any) -> None:
    """Put random weights of each architecture into the Hub, as training leaves them."""
    import timm
    import torch
    from safetensors.torch import save

    for name in PAIRS.values():
        torch.manual_seed(0)
        state = timm.create_model(name.partition(".")[0]).state_dict()
        for tensor in state.values():
            if tensor.ndim == 1:
                tensor.uniform_(0.5, 1.0)
        hub.store.put(f"timm/{name}", {"model.safetensors": save(state)})


def run(who: str, name: str, environment: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", who, name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(rounds: int) -> dict[str, Any]:
    """Medians and ratios for each pair, over interleaved rounds after a warm-up of the cache."""
    sys.path.insert(0, str(ROOT / "tests"))
    from hub.server import Hub

    results: dict[str, Any] = {}
    with Hub() as hub, tempfile.TemporaryDirectory() as home:
        fill(hub)
        environment = os.environ | {
            "HF_ENDPOINT": hub.endpoint, "HF_HOME": home, "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        for ours, theirs in PAIRS.items():
            runs: dict[str, list[dict[str, Any]]] = {"zoo": [], "timm": []}
            for _ in range(rounds + 1):
                runs["timm"].append(run("timm", theirs, environment))
                runs["zoo"].append(run("zoo", ours, environment))
            results[ours] = summary({who: rows[1:] for who, rows in runs.items()})
    return results


def summary(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    keys = ("cpu_s", "first_cpu_s", "first_wall_s", "peak_mb")
    found = {
        who: {key: statistics.median(row[key] for row in rows) for key in keys}
        for who, rows in runs.items()
    }
    ratios = {key: round(found["zoo"][key] / found["timm"][key], 4) for key in keys}
    identical = len({row["digest"] for rows in runs.values() for row in rows}) == 1
    return {"ratios": ratios, "state_and_logits_identical": identical, "medians": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--child", nargs=2)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(child(*arguments.child)))
        return
    record = {
        "results": measure(arguments.rounds),
        "rounds": arguments.rounds,
        "versions": {n: version(n) for n in ("timm", "torch", "huggingface-hub", "safetensors")},
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread",
    }
    print(json.dumps(record["results"], indent=2))
    RECORD.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
