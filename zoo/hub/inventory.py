"""What lies in the Hub's cache: list it, hash it anew, and clear out what is of no use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import HubError
from zoo.hub import cache
from zoo.hub.files import open_regular
from zoo.hub.request import Request, expected_in_cache
from zoo.hub.resolve import check_request

HALF_DONE = 3600.0  # seconds; a younger unfinished download may still be running


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedFile:
    """One file of one commit in the cache.

    `status` is `ok`, `corrupt` (not the digest that the Hub gave), `unverifiable` (no digest is
    known), `missing` (a link to nothing), or `not checked`.
    """

    repository: str
    revision: str
    filename: str
    path: Path
    size: int
    status: str = "not checked"
    sha256: str = ""


def cached_files(verify: bool = False) -> Iterator[CachedFile]:
    """Every file of every model repository in the cache; with `verify`, hashed now."""
    for folder in sorted(cache.hub_cache().glob("models--*")):
        repository = folder.name.removeprefix("models--").replace("--", "/", 1)
        for path in sorted((folder / "snapshots").glob("*/**/*")):
            if path.is_dir():
                continue
            commit, *parts = path.relative_to(folder / "snapshots").parts
            yield _look(repository, commit, "/".join(parts), path, verify)


def _look(repository: str, commit: str, filename: str, path: Path, verify: bool) -> CachedFile:
    size = path.stat().st_size if path.exists() else 0
    status, digest = "not checked", ""
    if not path.exists():
        status = "missing"
    elif verify:
        status, digest = _verify(repository, commit, filename, path)
    return CachedFile(
        repository=repository, revision=commit, filename=filename, path=path, size=size,
        status=status, sha256=digest,
    )  # fmt: skip


def _verify(repository: str, commit: str, filename: str, path: Path) -> tuple[str, str]:
    try:
        check_request(repository, commit, filename)
        request = Request(repository=repository, revision=commit, filename=filename)
        expected = expected_in_cache(request, commit, path)
        with open_regular(path) as file:
            sha256 = cache.content_digest(file, "sha256")
            found = cache.content_digest(file, expected.algorithm) if expected else ""
    except (OSError, HubError) as error:
        return f"unreadable: {error}", ""
    if expected is None:
        return "unverifiable", sha256
    return ("ok" if found == expected.digest else "corrupt"), sha256


def prune(dry_run: bool = False) -> list[Path]:
    """Remove corrupt files, links to nothing, abandoned downloads and records of files now gone.

    What verifies is kept, and so is what cannot be verified. Returns what was removed.
    """
    doomed: list[Path] = []
    for file in cached_files(verify=True):
        if file.status == "corrupt":
            doomed += [file.path.resolve(), file.path]
        elif file.status == "missing":
            doomed.append(file.path)
    young = time.time() - HALF_DONE
    for path in cache.hub_cache().glob("models--*/blobs/*.incomplete"):
        if path.stat().st_mtime < young:
            doomed.append(path)
    doomed = list(dict.fromkeys(doomed))
    if not dry_run:
        for path in doomed:
            path.unlink(missing_ok=True)
        cache.forget_all()
    return doomed
