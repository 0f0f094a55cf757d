"""From files and folders to results. Every case is run, and no case can end the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from zoo.errors import UnknownNameError, ZooError
from zoo.reference.cases import read_case
from zoo.reference.compare import Comparison
from zoo.reference.mechanism import run_case
from zoo.reference.models import read_models, run_model, spec_of
from zoo.reference.result import CaseResult
from zoo.registry import Registry, default_registry, names
from zoo.runtime.device import find_device

Run = Callable[[], tuple[Comparison, Comparison]]


def verify(
    paths: Iterable[str | Path], *, device: str = "cpu", registry: Registry | None = None
) -> Iterator[CaseResult]:
    """Run reference cases, and return one result for each, in order. A bad file is a result, not an
    error.

    Args:
        paths: case files (`*.safetensors`), `models.json` files, or folders of either.
        device: `cpu`, `cuda` or `cuda:1`. On all, float32 is computed in full precision.

    Raises:
        UsageError: there is no such device.
    """
    device = str(find_device(device))
    registry = registry or default_registry()
    for path in _files(paths):
        yield from _run_file(path, registry, device)


def _files(paths: Iterable[str | Path]) -> Iterator[Path]:
    for path in map(Path, paths):
        if not path.is_dir():
            yield path
            continue
        found = sorted(p for p in path.rglob("*") if _is_reference(p))
        yield from found or (path,)


def _is_reference(path: Path) -> bool:
    return path.suffix == ".safetensors" or path.name == "models.json"


@contextmanager
def _reproducible() -> Iterator[None]:
    """Full float32, and the caller's random state and settings left as they were."""
    tf32 = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = tf32


def _run_file(path: Path, registry: Registry, device: str) -> Iterator[CaseResult]:
    start = CaseResult(file=path.name, path=str(path))
    if path.is_dir():
        yield replace(start, reason="the folder holds no reference case")
    elif path.suffix == ".json":
        yield from _run_models(path, start, registry, device)
    else:
        yield _run_case(path, start, registry, device)


def _run_case(path: Path, start: CaseResult, registry: Registry, device: str) -> CaseResult:
    try:
        case = read_case(path)
        start = replace(start, mechanism=case.mechanism)
        spec = names.attention(case.mechanism, registry)
    except ZooError as error:
        return _refused(start, error)
    return _run(start, lambda: run_case(case, spec, registry, device))


def _run_models(
    path: Path, start: CaseResult, registry: Registry, device: str
) -> Iterator[CaseResult]:
    try:
        entries = read_models(path)
    except ZooError as error:
        yield _refused(start, error)
        return
    for entry in entries:
        name = str(entry.get("name", ""))[:200]
        row = replace(start, file=f"{path.name}::{name}", mechanism=name)
        try:
            spec = spec_of(name, registry)
        except ZooError as error:
            yield _refused(row, error)
            continue
        yield _run(row, partial(run_model, entry, spec, registry, device))


def _refused(row: CaseResult, error: ZooError) -> CaseResult:
    if isinstance(error, UnknownNameError):
        return replace(row, status="unsupported", reason="no plugin has this name")
    return replace(row, reason=_one_line(error))


def _run(row: CaseResult, run: Run) -> CaseResult:
    """Run one case; whatever it raises is its reason."""
    try:
        with _reproducible():
            outputs, gradients = run()
    except Exception as error:  # a plugin's code may raise anything
        return replace(row, reason=_one_line(error))
    reason = outputs.reason or gradients.reason
    return replace(
        row,
        status="failed" if reason else "passed",
        max_abs_error=outputs.largest,
        max_grad_error=gradients.largest,
        reason=reason,
    )


def _one_line(error: BaseException) -> str:
    text = error.what if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:300]
