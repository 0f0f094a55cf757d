"""Manifests at work: find them, write one from a repository, ask the Hub if they still hold."""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from zoo.errors import UsageError, WeightsError, ZooError
from zoo.hub.client import Clock
from zoo.hub.commits import resolve
from zoo.hub.pull import pull
from zoo.hub.repository import open_repository
from zoo.hub.request import Request
from zoo.registry import default_registry
from zoo.registry.specs import WeightsSpec
from zoo.runtime.files import write_atomically
from zoo.weights import manifests
from zoo.weights.safetensors_file import inspect
from zoo.weights.verified_file import bundled_file

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,100}\Z", re.ASCII)


def matching(pattern: str = "*") -> list[WeightsSpec]:
    """Stated weights whose `model.tag` matches, sorted."""
    found = default_registry().weights.values()
    named = {f"{spec.model}.{spec.tag}": spec for spec in found}
    return [named[name] for name in sorted(named) if fnmatchcase(name, pattern)]


def published_manifest(name: str, model: str = "", tag: str = "") -> WeightsSpec:
    """A manifest for a published repository: its commit and digest pinned, its config read.

    The weights are fetched, and their header inspected, before anything is stated of them.

    Args:
        name: `hf-hub:org/name@revision`; the prefix and the revision may be left out.
        model, tag: what the manifest is for; default as the repository's config says.
    """
    config, spec = open_repository(name)
    request = Request(repository=spec.repository, revision=spec.revision, filename=spec.filename)
    with pull(request) as file:
        inspect(file)
        pinned = replace(spec, sha256=file.sha256)
    options = {k: v for k, v in config.model_args.items() if v is not None}
    return replace(pinned, model=model or spec.model, tag=tag or spec.tag, options=options)


def add(repository: str, model: str, tag: str, folder: Path, *, force: bool = False) -> Path:
    """Write the manifest of a published repository; the path of the file.

    Raises:
        UsageError: the names make no file name, or the file is there and `force` is not given.
    """
    spec = published_manifest(repository, model, tag)
    if not (_NAME.match(spec.model) and _NAME.match(spec.tag)):
        raise UsageError(f"{spec.model!r} and {spec.tag!r} make no file name", remedy="--tag NAME")
    path = folder / f"{spec.model}.{spec.tag}.toml"
    if path.exists() and not force:
        raise UsageError("the manifest is already there", where=str(path), remedy="--force")
    try:
        write_atomically(path, manifests.dumps(spec).encode())
    except OSError as error:
        raise WeightsError(f"the manifest cannot be written: {error}", where=str(path)) from None
    return path


def check(spec: WeightsSpec) -> dict[str, str]:
    """Whether weights are what their manifest states: `ok`, `unpinned`, or `failed` and why."""
    row = {"name": f"{spec.model}.{spec.tag}", "kind": spec.kind}
    try:
        status, detail = _check(spec)
    except ZooError as error:
        status, detail = "failed", error.what
    return {**row, "status": status, "detail": detail}


def _check(spec: WeightsSpec) -> tuple[str, str]:
    if spec.kind == "unpublished":
        return "ok", "unpublished"
    if spec.kind == "bundled":
        bundled_file(spec).close()
        return "ok", spec.path
    commit = resolve(spec.repository, spec.revision or "main", clock=Clock(60.0), fresh=True)
    entry = commit.entry(spec.filename)
    sha256 = entry.digest if entry.algorithm == "sha256" else ""
    if spec.sha256 and sha256 and sha256 != spec.sha256:
        return "failed", f"the Hub has sha256 {sha256}, the manifest {spec.sha256}"
    if spec.revision and spec.sha256:
        return "ok", f"{spec.repository}@{commit.sha}"
    return "unpinned", f'{spec.repository}: revision = "{commit.sha}", sha256 = "{sha256}"'
