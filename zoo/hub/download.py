"""Download a file of a commit into the Hub's cache, so that only what verifies gets there."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from zoo.errors import CorruptWeightsError, HubError
from zoo.hub import cache
from zoo.hub.files import VerifiedFile
from zoo.hub.progress import bar
from zoo.hub.request import Expected, Request, expected_of, open_verified
from zoo.hub.resolve import Commit, Entry
from zoo.hub.transport import Clock, TooLongError, UnreachableError, download
from zoo.runtime.files import write_atomically

logger = logging.getLogger("zoo.hub")


def fetch_entry(
    request: Request, commit: Commit, clock: Clock, progress: bool | None = None
) -> VerifiedFile:
    """The file of a resolved commit: a verified copy from the cache, or a download."""
    entry = commit.entry(request.filename)
    if entry.size > request.max_size:
        raise HubError(f"{entry.size} bytes are too many for this file", where=str(request))
    expected = expected_of(request, entry)
    path = cache.snapshot_path(request.repository, commit.sha, request.filename)
    blob = cache.repository_folder(request.repository) / "blobs" / (entry.sha256 or entry.git)
    file = open_verified(request, path, commit.sha, expected)
    try:
        if file is None:
            with _lock(blob, clock):
                file = open_verified(request, path, commit.sha, expected)
                if file is None:
                    file = open_verified(request, blob, commit.sha, expected)
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
                file = open_verified(request, blob, commit, expected)
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
        write_atomically(path, commit.encode())
