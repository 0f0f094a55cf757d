"""`zoo list` from cold against `python -c "import timm"`: CPU time, wall time, peak memory.

    python benchmarks/listing.py [--rounds 7]

Every run is a process of its own, interleaved; medians are shown. Bytecode is cached, as it is for
whoever has installed the zoo: one run of each goes before, unmeasured. Linux (`os.wait4`).
Writes benchmarks/listing.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

COMMANDS = {
    "zoo list": [str(Path(sys.executable).with_name("zoo")), "list"],
    "zoo list --attentions": [str(Path(sys.executable).with_name("zoo")), "list", "--attentions"],
    "import timm": [sys.executable, "-c", "import timm"],
    "import click, pluggy": [sys.executable, "-c", "import click, pluggy"],
}
INVERSE, PEAK_MB = 25, 40
RECORD = Path(__file__).with_suffix(".json")


def measure(command: list[str]) -> dict[str, float]:
    """CPU and wall seconds and peak MB of one process."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    process = subprocess.Popen(command, env=kept, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} exited with {process.returncode}")
    return {
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "wall_s": wall,
        "peak_mb": usage.ru_maxrss / 1024,
    }


def medians(rounds: int) -> dict[str, dict[str, float]]:
    """The median of each figure of each command, over interleaved rounds."""
    runs = [
        {name: measure(command) for name, command in COMMANDS.items()} for _ in range(rounds + 1)
    ]
    return {
        name: {key: statistics.median(run[name][key] for run in runs[1:]) for key in runs[0][name]}
        for name in COMMANDS
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    found = medians(arguments.rounds)
    for name, figures in found.items():
        shown = "  ".join(f"{key} {value:8.3f}" for key, value in figures.items())
        print(f"{name:<24}{shown}")
    inverse = found["import timm"]["cpu_s"] / found["zoo list"]["cpu_s"]
    peak = found["zoo list"]["peak_mb"]
    print(f"CPU 1/{inverse:.1f}, at most 1/{INVERSE} is asked; {peak:.1f} MB, at most {PEAK_MB}")
    record = {
        "cpu_ratio": round(1 / inverse, 4),
        "medians": found,
        "rounds": arguments.rounds,
        "versions": {name: version(name) for name in ("timm", "torch", "click", "pluggy")},
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    RECORD.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
