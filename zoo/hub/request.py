"""What is asked for, what it must hash to, and the check that it does."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import CorruptWeightsError
from zoo.hub import cache
from zoo.hub.files import DigestFrom, VerifiedFile, open_regular
from zoo.hub.resolve import Entry, check_request, known_commit

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


def expected_of(request: Request, entry: Entry) -> Expected:
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


def expected_in_cache(request: Request, commit: str, path: Path) -> Expected | None:
    """The digest of a cached file, without the network: pinned, once given by the Hub, or None."""
    if request.sha256:
        return Expected(request.sha256, "sha256", "manifest")
    return _recorded(request, commit) or _blob_name(path)


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


def open_verified(
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
