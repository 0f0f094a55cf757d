"""What lies in the Hub's cache: list it, hash it anew, and clear out what is of no use."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import HubError, UsageError
from zoo.hub.request import Request, expected_in_cache, places_of
from zoo.weights import remembered
from zoo.weights.verified_file import open_regular

HALF_DONE = 3600.0  # seconds; a younger unfinished download may still be running


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedFile:
    """One file of one commit in the cache.

    `status` is `ok`, `corrupt` (not the digest that the Hub gave), `unverifiable` (no digest is
    known), `unreadable`, `missing` (a link to nothing), or `not checked`.
    """

    repository: str
    revision: str
    filename: str
    path: Path
    size: int
    status: str = "not checked"
    sha256: str = ""


def hub_cache() -> Path:
    """The folder of the Hub client's cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def cached_files(verify: bool = False) -> Iterator[CachedFile]:
    """Every file of every model repository in the cache; with `verify`, hashed now.

    A folder that cannot be read is a row of its own, `unreadable`.
    """
    for folder in _repositories():
        repository = folder.name.removeprefix("models--").replace("--", "/", 1)
        for path in sorted(_files(folder / "snapshots")):
            commit, _, filename = path.relative_to(folder / "snapshots").as_posix().partition("/")
            yield _look(repository, commit, filename, path, verify)


def _repositories() -> list[Path]:
    try:
        return sorted(path for path in hub_cache().iterdir() if path.name.startswith("models--"))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HubError(f"the cache cannot be read: {error}", where=str(hub_cache())) from None


def _files(folder: Path) -> Iterator[Path]:
    """Files below a folder, and the folders that cannot be read."""
    unreadable: list[Path] = []
    for place, _, names in os.walk(folder, onerror=lambda e: unreadable.append(Path(e.filename))):
        yield from (Path(place, name) for name in names)
    yield from (place for place in unreadable if os.path.lexists(place))


def _look(repository: str, commit: str, filename: str, path: Path, verify: bool) -> CachedFile:
    status, digest, size = "not checked", "", 0
    try:
        size = path.stat().st_size
        if path.is_dir():
            status = "unreadable"
        elif verify:
            status, digest = _verify(repository, commit, filename, path)
    except FileNotFoundError:
        status = "missing"
    except OSError:
        status = "unreadable"
    return CachedFile(
        repository=repository, revision=commit, filename=filename, path=path, size=size,
        status=status, sha256=digest,
    )  # fmt: skip


def _verify(repository: str, commit: str, filename: str, path: Path) -> tuple[str, str]:
    algorithm = expected = ""
    try:
        request = Request(repository=repository, revision=commit, filename=filename)
        algorithm, expected, _ = expected_in_cache(request, path)
    except UsageError:  # others may have stored names that the zoo does not ask for
        pass
    with open_regular(path) as file:
        sha256 = remembered.content_digest(file, "sha256")
        found = remembered.content_digest(file, algorithm) if algorithm == "git" else sha256
    if not algorithm:
        return "unverifiable", sha256
    return ("ok" if found == expected else "corrupt"), sha256


def prune(dry_run: bool = False) -> list[Path]:
    """Remove corrupt files, links to nothing, abandoned downloads and records of files now gone.

    What verifies is kept, and so is what cannot be verified or read. Returns what was removed.

    Raises:
        HubError: something cannot be removed.
    """
    doomed: list[Path] = []
    for file in cached_files(verify=True):
        if file.status == "corrupt":
            doomed += places_of(file.path)
        elif file.status == "missing":
            doomed.append(file.path)
    doomed = list(dict.fromkeys([*doomed, *_abandoned()]))
    if dry_run:
        return doomed
    try:
        for path in doomed:
            path.unlink(missing_ok=True)
        remembered.forget_all()
    except OSError as error:
        raise HubError(f"the cache cannot be cleared: {error}", where=str(hub_cache())) from None
    return doomed


def _abandoned() -> list[Path]:
    """Downloads that were not finished, and are too old to be still running."""
    young = time.time() - HALF_DONE
    unfinished = hub_cache().glob("models--*/blobs/*.incomplete")
    return [path for path in unfinished if path.exists() and path.stat().st_mtime < young]
