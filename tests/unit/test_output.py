"""What the commands write: full disks, closed streams, and nothing but JSON under `--json`."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from zoo.errors import UsageError, ZooError
from zoo.runtime.files import all_of, write_atomically

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
RUN = "from zoo.cli import main; main()"
NOISY = """
import ctypes, os, subprocess
import zoo

os.write(1, b"from os\\n")
print("from print")
subprocess.run(["echo", "from echo"])
ctypes.CDLL(None).printf(b"from printf\\n")  # kept back by the C library until the end

@zoo.hookimpl
def zoo_commands(cli):
    pass
"""


def zoo_process(
    *arguments: str, code: str = RUN, stdout: Any = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@needs_full
@pytest.mark.parametrize(
    "arguments",
    [["list"], ["list", "--json"], ["info", "se"], ["plugins"], ["--help"], ["list", "--composed"]],
    ids=" ".join,
)
def test_a_full_disk_is_one_error(arguments: list[str]) -> None:
    with FULL.open("w") as full:
        done = zoo_process(*arguments, stdout=full)
    assert done.returncode == 1
    assert done.stderr == "error: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"]])
def test_a_closed_stdout_is_no_error(arguments: list[str]) -> None:
    done = zoo_process(*arguments, code=f"import os, sys; os.close(1); sys.stdout = None; {RUN}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["list"], ["info", "se"], ["plugins"]], ids=" ".join)
def test_what_plugins_write_to_stdout_is_not_in_the_json(
    arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "noisy.py").write_text(NOISY)
    installed = tmp_path / "noisy-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: noisy\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[zoo.plugins]\nnoisy = noisy\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {RUN}"
    done = zoo_process(*arguments, "--json", code=code)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    for source in ("os", "print", "echo", "printf"):
        assert f"from {source}\n" in done.stderr


@needs_full
def test_a_device_is_written_to_and_not_replaced() -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(FULL, b"text")
    assert caught.value.filename == str(FULL)
    assert stat.S_ISCHR(FULL.stat().st_mode)


def test_a_failure_to_write_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError, match="exists|Not a directory") as caught:
        write_atomically(tmp_path / "file" / "inside", b"text")
    assert caught.value.filename == str(tmp_path / "file" / "inside")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_every_step_is_taken_and_all_failures_are_one_error() -> None:
    done: list[int] = []

    def fail(number: int) -> None:
        done.append(number)
        raise UsageError(f"step {number}")

    with pytest.raises(UsageError, match="step 1"):
        all_of(lambda: fail(1), lambda: done.append(2))
    with pytest.raises(ZooError, match="step 3\nstep 4"):
        all_of(lambda: fail(3), lambda: fail(4), lambda: done.append(5))
    assert done == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127, "字" * 85, "🎈" * 63], ids=len)
def test_a_name_as_long_as_names_may_be_is_written(name: str, tmp_path: Path) -> None:
    write_atomically(tmp_path / name, b"content")
    assert [path.name for path in tmp_path.iterdir()] == [name]
