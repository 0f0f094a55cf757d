"""Let the Hub's client fetch a file of a commit into its cache, and keep only what verifies."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from zoo import remembered
from zoo.errors import CorruptWeightsError, HubError
from zoo.files import write_atomically
from zoo.hub.client import Clock, Pulse, call
from zoo.hub.commits import Commit
from zoo.hub.request import (
    Expected,
    Request,
    cached_path,
    commit_of,
    expected_of,
    open_verified,
    repository_folder,
)
from zoo.verified_file import VerifiedFile, open_regular
from zoo.version import __version__

logger = logging.getLogger("zoo.hub")


class _TooLongError(HubError):
    """More bytes come than there should be."""


class CacheError(HubError):
    """The cache cannot be written."""


def fetch_file(
    request: Request, commit: Commit, clock: Clock, progress: bool | None = None
) -> VerifiedFile:
    """The file of a resolved commit: a verified copy from the cache, or a download."""
    entry = commit.entry(request.filename)
    if entry.size > request.max_size:
        raise HubError(f"{entry.size} bytes are too many for this file", where=str(request))
    expected = expected_of(request, commit)
    folder = repository_folder(request.repository)
    path = cached_path(request, commit.sha)
    file = open_verified(request, path, commit.sha, expected)
    if file is None:
        # Another commit's copy of the same content: the client will only link to it.
        blob = folder / "blobs" / entry.digest
        copy = open_verified(request, blob, commit.sha, expected)
        try:
            file = _download(request, commit, expected, clock, progress)
        except CacheError:
            if copy is None:
                raise
            logger.info("%s: the cache cannot be written, %s serves as it is", request, blob)
            return copy
    _write_ref(folder / "refs" / request.revision, request, commit.sha)
    return file


def _download(
    request: Request, commit: Commit, expected: Expected, clock: Clock, progress: bool | None
) -> VerifiedFile:
    """Download, at most twice; what does not verify is taken out of the cache again."""
    size, found = commit.entry(request.filename).size, ""
    _check_room(size)
    for _ in range(2):
        _discard_unverified(request, commit, expected)
        try:
            path = _client_download(request, commit, expected, size, clock, progress)
        except _TooLongError:
            found = f"more than {size} bytes"
            continue
        file = open_verified(request, path, commit.sha, expected)
        if file:
            return file
        found = _digest(path, expected.algorithm)
        _discard(path)
        logger.warning("%s: downloaded %s %s", request, expected.algorithm, found)
    raise CorruptWeightsError(
        f"the download is not what was promised, twice: expected {expected.algorithm} "
        f"{expected.digest}, found {found}",
        where=str(request),
        remedy="try again later; if it stays so, tell the repository's owner",
    )


def _client_download(
    request: Request, commit: Commit, expected: Expected, size: int, clock: Clock,
    progress: bool | None,
) -> Path:  # fmt: skip
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url

    pulse = Pulse()
    url = hf_hub_url(request.repository, request.filename, revision=commit.sha)
    ask = partial(call, where=str(request), clock=clock)
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    answer = ask(lambda: get_hf_file_metadata(url, timeout=timeout))
    _check_name(answer.etag or "", expected, request)
    bar = _bar(request.filename, size, progress, pulse)

    def download() -> str:
        with _cache_errors():
            return hf_hub_download(
                request.repository, request.filename, revision=commit.sha, tqdm_class=bar,
                library_name="attention-zoo", library_version=__version__,
            )  # fmt: skip

    path = Path(ask(download, pulse=pulse))
    if commit_of(request, path) != commit.sha:
        raise HubError(f"the Hub answers with another commit: {path}", where=str(request))
    return path


def _check_name(etag: str, expected: Expected, request: Request) -> None:
    """The client names its copy by the ETag: refuse one that leads elsewhere, or to other content.

    Mirrors may give other ETags than the Hub's digests; such a one must be a plain, new name.
    """
    blobs = repository_folder(request.repository) / "blobs"
    plain = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]{0,127}", etag)
    if etag != expected.digest and (not plain or (blobs / etag).exists()):
        raise HubError(
            f"the Hub's answer for the file names other content: ETag {etag[:140]!r}",
            where=str(request),
            remedy="try again later; zoo cache prune if it stays so",
        )


def _bar(filename: str, size: int, show: bool | None, pulse: Pulse) -> Any:
    """The client's progress bar, which also refuses to go on when more comes than there should."""
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):
        received = 0

        def __init__(self, *arguments: Any, **options: Any) -> None:
            # Xet draws a second bar of what it transfers, which may be more than the file has.
            self.limit = float("inf") if str(options.get("name")).endswith("transfer") else size
            if show is not None:
                options["disable"] = not show
            super().__init__(*arguments, **{**options, "desc": filename})

        def update(self, n: float | None = 1) -> bool | None:
            self.received += int(n or 0)
            pulse.beat()
            if self.received > self.limit:
                raise _TooLongError(f"more than the expected {size} bytes came", where=filename)
            return super().update(n)

    return Bar


@contextmanager
def _cache_errors() -> Iterator[None]:
    """An error of the file system, which has a number, is not one of the network."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise _unwritable(str(error)) from None


def _unwritable(why: str) -> HubError:
    from huggingface_hub import constants

    return CacheError(
        f"the cache cannot be written: {why}",
        where=str(constants.HF_HUB_CACHE),
        remedy="set HF_HOME to a folder that can be written and has room",
    )


def _check_room(size: int) -> None:
    from huggingface_hub import constants

    place = Path(constants.HF_HUB_CACHE)
    while not place.exists() and place != place.parent:
        place = place.parent
    with _cache_errors():
        if shutil.disk_usage(place).free < size:
            raise _unwritable(f"{size} bytes do not fit on the disk")


def _digest(path: Path, algorithm: str) -> str:
    try:
        with open_regular(path) as file:
            return remembered.digest(file, algorithm)
    except OSError as error:
        return str(error)


def _discard_unverified(request: Request, commit: Commit, expected: Expected) -> None:
    """Take damaged copies out of the cache, which the client would serve."""
    blob = repository_folder(request.repository) / "blobs" / expected.digest
    for path in (cached_path(request, commit.sha), blob):
        if path is not None and path.exists() and not _is_verified(request, path, expected):
            _discard(path)


def _is_verified(request: Request, path: Path, expected: Expected) -> bool:
    file = open_verified(request, path, "", expected)
    if file:
        file.close()
    return file is not None


def _discard(path: Path) -> None:
    """Remove a file of the cache and the blob that it links to."""
    with _cache_errors():
        for place in (path.resolve(), path):
            place.unlink(missing_ok=True)


def _write_ref(path: Path, request: Request, commit: str) -> None:
    """Let the branch lead to the commit, as the client does; a cache may be read-only."""
    if request.revision == commit:
        return
    try:
        if not path.exists() or path.read_bytes() != commit.encode():
            write_atomically(path, commit.encode())
    except OSError as error:
        logger.info("%s: the cache cannot be written: %s", request, error)
