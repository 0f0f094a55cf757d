"""Let the Hub's client fetch a file of a commit into its cache, and keep only what verifies."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from zoo.errors import CorruptWeightsError, HubError
from zoo.hub.client import Clock, call
from zoo.hub.commits import Commit, Entry
from zoo.hub.request import (
    Expected,
    Request,
    cached_path,
    commit_of,
    expected_of,
    open_verified,
    places_of,
    repository_folder,
)
from zoo.runtime.files import write_atomically
from zoo.version import __version__
from zoo.weights.verified_file import VerifiedFile

logger = logging.getLogger("zoo.hub")


class TooLongError(HubError):
    """More bytes come than there should be."""


class CacheError(HubError):
    """The cache cannot be written."""


def fetch_file(
    request: Request, commit: Commit, clock: Clock, progress: bool | None = None
) -> VerifiedFile:
    """The file of a resolved commit: a verified copy from the cache, or a download."""
    entry, expected = commit.entry(request.filename), expected_of(request, commit)
    if entry.size > request.max_size:
        raise HubError(f"{entry.size} bytes are too many for this file", where=str(request))
    folder = repository_folder(request.repository)
    file = open_verified(request, cached_path(request, commit.sha), commit.sha, expected)
    if file is None:
        # Another commit may have the same content: then the client will only link to it.
        copy = open_verified(request, folder / "blobs" / entry.digest, commit.sha, expected)
        try:
            if copy is None:
                _discard(folder / "blobs" / entry.digest)
            file = _download(request, commit, expected, clock, progress)
        except CacheError:
            if copy is None:
                raise
            logger.info("%s: the cache cannot be written, %s serves", request, copy.path)
            return copy
        if copy:
            copy.close()
    _write_ref(folder / "refs" / request.revision, request, commit.sha)
    return file


def _download(
    request: Request, commit: Commit, expected: Expected, clock: Clock, progress: bool | None
) -> VerifiedFile:
    """Download, at most twice; what does not verify is taken out of the cache again."""
    for _ in range(2):
        damaged = cached_path(request, commit.sha)
        if damaged:  # the client would serve it
            _discard(damaged)
        try:
            path = _client_download(request, commit, clock, progress)
        except TooLongError as error:
            logger.warning("%s: %s", request, error.what)
            continue
        file = open_verified(request, path, commit.sha, expected)
        if file:
            return file
        _discard(path)
    raise CorruptWeightsError(
        f"the download is not what was promised, twice: expected {expected.algorithm} "
        f"{expected.digest}",
        where=str(request),
        remedy="try again later; if it stays so, tell the repository's owner",
    )


def _client_download(request: Request, commit: Commit, clock: Clock, progress: bool | None) -> Path:
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url

    entry = commit.entry(request.filename)
    url = hf_hub_url(request.repository, request.filename, revision=commit.sha)
    ask = partial(call, where=str(request), clock=clock)
    seconds = constants.HF_HUB_DOWNLOAD_TIMEOUT
    answer = ask(lambda: get_hf_file_metadata(url, timeout=seconds))
    _check_name(answer.etag or "", entry, request)
    bar = progress_bar(request.filename, entry.size, progress, clock)

    def download() -> str:
        with _cache_errors():
            return hf_hub_download(
                request.repository, request.filename, revision=commit.sha, tqdm_class=bar,
                library_name="attention-zoo", library_version=__version__,
            )  # fmt: skip

    path = Path(ask(download))
    if commit_of(request, path) != commit.sha:
        raise HubError(f"the Hub answers with another commit: {path}", where=str(request))
    return path


def _check_name(etag: str, entry: Entry, request: Request) -> None:
    """The client names its copy by the ETag: refuse one that leads elsewhere, or to other content.

    Mirrors may give other ETags than the Hub's digests; such a one must be a plain, new name.
    """
    blob = repository_folder(request.repository) / "blobs" / etag
    plain = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]{0,127}", etag)
    if etag != entry.digest and (not plain or blob.exists()):
        raise HubError(
            f"the Hub's answer for the file names other content: ETag {etag[:140]!r}",
            where=str(request),
            remedy="try again later; zoo cache prune if it stays so",
        )


def progress_bar(filename: str, size: int, show: bool | None, clock: Clock) -> Any:
    """The client's progress bar, which also stops a download of more than `size` bytes."""
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
            clock.beat()
            self.received += int(n or 0)
            if self.received > self.limit:
                raise TooLongError(f"more than the expected {size} bytes came", where=filename)
            return super().update(n)

    return Bar


@contextmanager
def _cache_errors() -> Iterator[None]:
    """An error of the file system, which has a number, is not one of the network."""
    from huggingface_hub import constants

    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise CacheError(
            f"the cache cannot be written: {error}",
            where=str(constants.HF_HUB_CACHE),
            remedy="set HF_HOME to a folder that can be written and has room",
        ) from None


def _discard(path: Path) -> None:
    """Remove a file of the cache, and its blob."""
    with _cache_errors():
        for place in places_of(path):
            place.unlink(missing_ok=True)


def _write_ref(path: Path, request: Request, commit: str) -> None:
    """Let the branch lead to the commit, as the client does; a cache may be read-only."""
    try:
        if request.revision != commit and (not path.exists() or path.read_text() != commit):
            write_atomically(path, commit.encode())
    except (OSError, ValueError) as error:
        logger.info("%s: the cache cannot be written: %s", request, error)
