"""Fetch a file of a repository: from the cache if it is verified there, else from the Hub."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from zoo.errors import CorruptWeightsError, HubError, OfflineError
from zoo.hub import cache
from zoo.hub.files import DigestFrom, VerifiedFile, open_regular
from zoo.hub.progress import bar
from zoo.hub.resolve import Commit, Entry, check_request, known_commit, resolve
from zoo.hub.transport import RETRIES, Clock, TooLongError, UnreachableError, download

logger = logging.getLogger("zoo.hub")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A file of a repository at a revision, with its pinned digest if one is known."""

    repository: str
    revision: str = "main"
    filename: str = "model.safetensors"
    sha256: str = ""
    max_size: int = 2**50

    def __post_init__(self) -> None:
        check_request(self.repository, self.revision, self.filename)

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision}: {self.filename}"


@dataclass(frozen=True, slots=True)
class Expected:
    """The digest that the content must have, and who says so."""

    digest: str
    algorithm: str
    said_by: DigestFrom


def pull(
    request: Request,
    *,
    offline: bool | None = None,
    deadline: float | None = None,
    progress: bool | None = None,
) -> VerifiedFile:
    """The file, open and verified.

    A pinned commit whose digest is known is served from the cache without a request; otherwise one
    request asks the Hub for the commit and its digests. If the Hub cannot be reached, a verified
    copy in the cache serves, and a log line says so; if it refuses (401, 403, 404), none does.

    Args:
        request: what to fetch.
        offline: never use the network; None follows `HF_HUB_OFFLINE`.
        deadline: seconds that the whole call may take.
        progress: draw a bar while downloading; None draws one on a terminal.

    Raises:
        OfflineError: offline, and no copy is cached.
        CorruptWeightsError: the content does not have the digest, after a second download too.
        HubError: the Hub refuses, cannot be reached, or answers nonsense.
    """
    from huggingface_hub import constants

    pinned = _pinned_copy(request)
    if pinned:
        return pinned
    if constants.is_offline_mode() if offline is None else offline:
        return _cached_copy(request, "offline")
    clock = Clock(deadline)
    has_copy = _snapshot(request) is not None
    try:
        commit = resolve(
            request.repository, request.revision, clock=clock, retries=1 if has_copy else RETRIES
        )
    except UnreachableError as error:
        if has_copy:
            return _cached_copy(request, error.what)
        raise
    except OfflineError:
        return _cached_copy(request, "offline")
    return fetch_entry(request, commit, clock, progress)


def fetch_entry(
    request: Request, commit: Commit, clock: Clock, progress: bool | None = None
) -> VerifiedFile:
    """The file of a resolved commit: a verified copy from the cache, or a download."""
    entry = commit.entry(request.filename)
    if entry.size > request.max_size:
        raise HubError(f"{entry.size} bytes are too many for this file", where=str(request))
    expected = _expected(request, entry)
    path = cache.snapshot_path(request.repository, commit.sha, request.filename)
    blob = cache.repository_folder(request.repository) / "blobs" / (entry.sha256 or entry.git)
    file = _verified(request, path, commit.sha, expected)
    try:
        if file is None:
            with _lock(blob, clock):
                file = _verified(request, path, commit.sha, expected)
                if file is None:
                    file = _verified(request, blob, commit.sha, expected)
                    file = file or _download(request, commit.sha, entry, expected, clock, progress)
                    _point(path, blob)
        _write_ref(request, commit.sha)
    except OSError as error:
        if file is None:
            raise HubError(
                f"the cache cannot be written: {error}",
                where=str(cache.hub_cache()),
                remedy="set HF_HOME to a folder that can be written and has room",
            ) from None
        logger.info("%s: the cache cannot be written: %s", request, error)
    return file


def _expected(request: Request, entry: Entry) -> Expected:
    if request.sha256 and entry.sha256 not in ("", request.sha256):
        raise CorruptWeightsError(
            f"the repository no longer holds the pinned file: expected sha256 {request.sha256}, "
            f"the Hub has {entry.sha256}",
            where=str(request),
            remedy="zoo weights check; pin the commit that holds it (revision=)",
        )
    if request.sha256:
        return Expected(request.sha256, "sha256", "manifest")
    return _promised(entry)


def _promised(entry: Entry) -> Expected:
    if entry.sha256:
        return Expected(entry.sha256, "sha256", "hub")
    return Expected(entry.git, "git", "hub")


def _verified(
    request: Request, path: Path, commit: str, expected: Expected | None
) -> VerifiedFile | None:
    """The file at `path` if it is there and has the digest (or, for None, whatever it has)."""
    try:
        handle = open_regular(path)
    except OSError:
        return None
    try:
        if expected and cache.digest(handle, expected.algorithm) != expected.digest:
            logger.warning("%s does not have the digest %s", path, expected.digest)
            handle.close()
            return None
        return VerifiedFile(
            path=path,
            handle=handle,
            sha256=cache.digest(handle),
            source="hub",
            digest_from=expected.said_by if expected else "unverified",
            repository=request.repository,
            revision=commit,
            filename=request.filename,
        )
    except BaseException:
        handle.close()
        raise


def _pinned_copy(request: Request) -> VerifiedFile | None:
    """A copy in the cache that no request can make more certain."""
    commit = cache.cached_commit(request.repository, request.revision)
    if commit is None:
        return None
    expected = _recorded(request, commit) if commit == request.revision else None
    if request.sha256:
        expected = Expected(request.sha256, "sha256", "manifest")
    if expected is None:
        return None
    path = cache.snapshot_path(request.repository, commit, request.filename)
    return _verified(request, path, commit, expected)


def _snapshot(request: Request) -> tuple[str, Path] | None:
    commit = cache.cached_commit(request.repository, request.revision)
    if commit is None:
        return None
    path = cache.snapshot_path(request.repository, commit, request.filename)
    return (commit, path) if path.exists() else None


def _cached_copy(request: Request, why: str) -> VerifiedFile:
    """The cached copy, verified against what was recorded when it was fetched."""
    found = _snapshot(request)
    if found is None:
        raise OfflineError(
            "not in the cache, and the Hub cannot be asked",
            where=f"{request} ({why})",
            remedy=f"online: zoo pull hf-hub:{request.repository}",
        )
    commit, path = found
    expected = _recorded(request, commit) or _blob_name(path)
    if request.sha256:
        expected = Expected(request.sha256, "sha256", "manifest")
    file = _verified(request, path, commit, expected)
    if file is None:
        raise CorruptWeightsError(
            f"the cached copy does not have the digest {expected.digest if expected else ''}",
            where=str(path),
            remedy=f"online: zoo pull hf-hub:{request.repository} fetches it anew",
        )
    if expected is None:
        logger.warning("%s: nothing says what the cached copy must hash to", path)
    logger.warning("%s: using the cached copy of commit %s (%s)", request, commit[:12], why)
    return file


def _blob_name(path: Path) -> Expected | None:
    """The Hub client names blobs by their digest as the Hub gave it."""
    name = os.path.basename(os.path.realpath(path))
    algorithm = {64: "sha256", 40: "git"}.get(len(name))
    if not algorithm or not all(letter in "0123456789abcdef" for letter in name):
        return None
    return Expected(name, algorithm, "cache")


def _recorded(request: Request, commit: str) -> Expected | None:
    """The digest that the Hub once gave for a file of this commit."""
    known = known_commit(request.repository, commit)
    entry = known.files.get(request.filename) if known else None
    return _promised(entry) if entry else None


@contextmanager
def _lock(blob: Path, clock: Clock) -> Iterator[None]:
    """One process at a time for a blob, by the lock that the Hub client takes too."""
    from filelock import Timeout
    from huggingface_hub.utils import WeakFileLock

    folder = blob.parents[1]
    path = folder.parent / ".locks" / folder.name / f"{blob.name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with WeakFileLock(path, timeout=clock.left(24 * 3600)):
            yield
    except Timeout:
        raise UnreachableError(
            "another process has been downloading this file for too long", where=str(path)
        ) from None


def _download(
    request: Request,
    commit: str,
    entry: Entry,
    expected: Expected,
    clock: Clock,
    progress: bool | None,
) -> VerifiedFile:
    """Download, at most twice, and put in place only what has the digest."""
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(request.repository, request.filename, revision=commit)
    blob = cache.repository_folder(request.repository) / "blobs" / (entry.sha256 or entry.git)
    blob.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(blob.parent).free < entry.size:
        raise OSError(f"{entry.size} bytes do not fit on the disk")
    found = ""
    for _ in range(2):
        with _scratch(blob) as part:
            try:
                with bar(str(request), entry.size, progress) as advance:
                    download(
                        url, part, clock=clock, limit=entry.size, size=entry.size, progress=advance
                    )
            except TooLongError:
                found = f"more than {entry.size} bytes"
                continue
            part.flush()
            os.fsync(part.fileno())
            found = cache.content_digest(part, expected.algorithm)
            if found == expected.digest:
                os.replace(part.name, blob)
                cache.remember(part, cache.identity(part), **{expected.algorithm: found})
                file = _verified(request, blob, commit, expected)
                if file:
                    return file
        logger.warning("%s: downloaded %s %s; once more", request, expected.algorithm, found)
    raise CorruptWeightsError(
        f"the download is not what was promised, twice: expected {expected.algorithm} "
        f"{expected.digest}, found {found}",
        where=str(request),
        remedy="try again later; if it stays so, tell the repository's owner",
    )


@contextmanager
def _scratch(blob: Path) -> Iterator[BinaryIO]:
    """A new file beside the blob, gone at the end unless it was moved into place."""
    path = blob.with_name(f"{blob.name}.{uuid4().hex[:8]}.incomplete")
    try:
        with path.open("x+b") as part:
            yield part
    finally:
        path.unlink(missing_ok=True)


def _point(path: Path, blob: Path) -> None:
    """Let the snapshot's path lead to the blob, as the Hub client does; a copy without symlinks."""
    if path.exists() and os.path.samefile(path, blob):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    scratch.unlink(missing_ok=True)
    try:
        os.symlink(os.path.relpath(blob, path.parent), scratch)
    except OSError:
        shutil.copyfile(blob, scratch)
    os.replace(scratch, path)


def _write_ref(request: Request, commit: str) -> None:
    if request.revision != commit:
        path = cache.repository_folder(request.repository) / "refs" / request.revision
        cache.write_atomically(path, commit.encode())
