"""Processes of Python that begin with torch imported: copies of one process that waits.

A program that uses the zoo first imports torch and timm, which takes longer than most tests. `run`
stands for `subprocess.run([sys.executable, *arguments])`: the process is one of its own, with the
environment, the folder and the exit code that the caller would expect of it, but it is forked from
a process that has imported torch, and nothing else: no module of the zoo, and none that reads the
environment of the zoo or of the Hub. A test of what is imported, or of how Python itself starts,
uses `subprocess`.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

THREADS = {"OMP_NUM_THREADS": "1"}
TESTS = Path(__file__).parent
PATHS = [path for path in sys.path if path and not Path(path).is_relative_to(TESTS)]


def run(
    arguments: Sequence[object],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
    stdout: str | None = None,
    timeout: float = 200,
    check: bool = False,
    before: Callable[[], Any] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS` to its end: `-m MODULE ...`, `-c CODE ...` or `FILE ...`.

    Args:
        env: its whole environment; by default the caller's.
        stdout: a file that it writes to; by default what it prints is returned.
        before: is called in the process first.
    """
    said = [str(argument) for argument in arguments]
    with TemporaryDirectory() as folder:
        files = [stdout or f"{folder}/out", f"{folder}/err"]
        process = _context().Process(
            target=_become,
            args=(said, dict(env or os.environ), str(cwd or os.getcwd()), PATHS, files, before),
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(said, timeout)
        out, err = (Path(file).read_text("utf-8") if file != stdout else "" for file in files)
    done = subprocess.CompletedProcess(said, process.exitcode, out, err)
    if check:
        assert done.returncode == 0, done.stderr
    return done


@cache
def _context() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torchvision.ops"])
    with mock.patch.dict(os.environ, THREADS):
        forkserver.ensure_running()
    return context


def _become(
    arguments: list[str],
    env: dict[str, str],
    cwd: str,
    paths: list[str],
    files: list[str],
    before: Callable[[], Any] | None,
) -> None:
    """Be the process that was asked for, to its end."""
    if before is not None:
        before()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    import torch

    torch.set_num_threads(int(env.get("OMP_NUM_THREADS", 1)))
    warnings.resetwarnings()
    warnings._processoptions(list(filter(None, env.get("PYTHONWARNINGS", "").split(","))))
    _speak_into(files)
    try:
        _execute(arguments, paths)
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()


def _speak_into(files: list[str]) -> None:
    """Let the standard streams, and what the process starts, write into the files."""
    for number, file in zip((1, 2), files, strict=True):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)


def _execute(arguments: list[str], paths: list[str]) -> None:
    how, *rest = arguments
    named = how in ("-m", "-c")
    what = rest.pop(0) if named else how
    sys.argv = [how, *rest]
    first = {"-m": os.getcwd(), "-c": ""}.get(how, str(Path(how).resolve().parent))
    sys.path = [first, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *paths]
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    elif how == "-c":
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    else:
        runpy.run_path(what, run_name="__main__")
