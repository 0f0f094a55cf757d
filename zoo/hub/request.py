"""What is asked for, where it lies in the client's cache, and the check of its digest."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path

from zoo import remembered
from zoo.errors import CorruptWeightsError
from zoo.hub.commits import SIZE_LIMIT, Commit, Entry, check_request, known_commit
from zoo.verified_file import DigestFrom, VerifiedFile, open_regular

logger = logging.getLogger("zoo.hub")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A file of a repository at a revision, with its pinned digest if one is known."""

    repository: str
    revision: str = "main"
    filename: str = "model.safetensors"
    sha256: str = ""
    max_size: int = SIZE_LIMIT

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


def repository_folder(repository: str) -> Path:
    """The folder of a repository in the client's cache, with `blobs`, `snapshots` and `refs`."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    name = repo_folder_name(repo_id=repository, repo_type="model")
    return Path(constants.HF_HUB_CACHE) / name


def cached_path(request: Request, revision: str = "") -> Path | None:
    """Where the client has the file of a revision, by default that of the request."""
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(
            request.repository, request.filename, revision=revision or request.revision
        )
    except (OSError, ValueError):  # a cache that cannot be read is one that has nothing
        return None
    return Path(found) if isinstance(found, str) else None


def commit_of(request: Request, path: Path) -> str:
    """The commit of a file in the cache, which lies below a folder of that name."""
    return path.parts[-1 - len(request.filename.split("/"))]


def expected_of(request: Request, commit: Commit) -> Expected:
    """The digest that is pinned, or else the one that the Hub gives for the commit."""
    entry = commit.entry(request.filename)
    if request.sha256 and entry.sha256 not in ("", request.sha256):
        raise CorruptWeightsError(
            f"the repository no longer holds the pinned file: expected sha256 {request.sha256}, "
            f"the Hub has {entry.sha256}",
            where=str(request),
            remedy="zoo weights check; pin the commit that holds it (revision=)",
        )
    return _pinned(request) or _promised(entry)


def expected_in_cache(request: Request, path: Path) -> Expected | None:
    """The digest of a cached file, without the network: pinned, once given by the Hub, or None."""
    commit = known_commit(request.repository, commit_of(request, path))
    entry = commit.files.get(request.filename) if commit else None
    return _pinned(request) or (_promised(entry) if entry else _blob_name(path))


def _pinned(request: Request) -> Expected | None:
    return Expected(request.sha256, "sha256", "manifest") if request.sha256 else None


def _promised(entry: Entry) -> Expected:
    return Expected(entry.digest, "sha256" if entry.sha256 else "git", "hub")


def _blob_name(path: Path) -> Expected | None:
    """The Hub client names blobs by their digest as the Hub gave it."""
    name = os.path.basename(os.path.realpath(path))
    algorithm = {64: "sha256", 40: "git"}.get(len(name))
    return Expected(name, algorithm, "cache") if algorithm and _is_hex(name) else None


def _is_hex(name: str) -> bool:
    return re.fullmatch(r"[0-9a-f]+", name) is not None


def open_verified(
    request: Request, path: Path | None, commit: str, expected: Expected | None
) -> VerifiedFile | None:
    """The file at `path` if it is there and has the digest (or, for None, whatever it has)."""
    try:
        handle = open_regular(path) if path else None
    except OSError:
        handle = None
    if path is None or handle is None:
        return None
    try:
        if expected and remembered.digest(handle, expected.algorithm) != expected.digest:
            logger.warning("%s does not have the digest %s", path, expected.digest)
            handle.close()
            return None
        return VerifiedFile(
            path=path,
            handle=handle,
            sha256=remembered.digest(handle),
            source="hub",
            digest_from=expected.said_by if expected else "unverified",
            repository=request.repository,
            revision=commit,
            filename=request.filename,
        )
    except BaseException:
        handle.close()
        raise
