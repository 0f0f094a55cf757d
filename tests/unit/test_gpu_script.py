"""`benchmarks/gpu.py` runs from a plain checkout; here on the CPU, in sizes that mean nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.long

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
ABSENT = ("accelerate", "pyarrow", "rich")  # which the machine with the GPU need not have


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The script in a Python that has packages, but neither the zoo nor those of `ABSENT`."""
    for name in ABSENT:
        (folder / f"{name}.py").write_text(f"raise ImportError('{name} is absent')")
    packages = Path(torch.__file__).parents[1]
    return subprocess.run(
        [sys.executable, "-S", str(SCRIPT), "--out", str(folder / "gpu.json"), *arguments],
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{packages}", "OMP_NUM_THREADS": "1"},
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def parts(folder: Path, *arguments: str) -> dict[str, Any]:
    done = run(folder, "--dry", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "gpu.json").read_text("utf-8"))["parts"]


def test_two_parts(tmp_path: Path) -> None:
    found = parts(tmp_path, "--parts", "references", "attentions")
    assert list(found) == ["references", "attentions"]
    cases = found["references"]["rows"]
    assert len(cases) == 3 and {row["status"] for row in cases} == {"passed"}
    rows = {row["name"]: row for row in found["attentions"]["rows"]}
    assert rows.keys() == {"se", "simam"}
    assert all(rows["se"][f"{who}_{way}"] > 0
               for who in ("ours", "timm") for way in ("forward", "training"))  # fmt: skip
    assert [part["left_out"] for part in found.values()] == [[], []]


@pytest.mark.slow
def test_every_part(tmp_path: Path) -> None:
    found = parts(tmp_path)
    assert all(part["rows"] for part in found.values())
    assert [row for part in found.values() for row in part["rows"] if "error" in row] == []


@pytest.mark.slow
def test_what_there_is_no_time_for_is_named(tmp_path: Path) -> None:
    found = parts(tmp_path, "--parts", "bfloat16", "--minutes", "0")
    assert found["bfloat16"]["rows"] == [] and len(found["bfloat16"]["left_out"]) == 3
