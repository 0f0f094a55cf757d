"""What is asked for, where it lies in the client's cache, and the check of its digest."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from zoo.errors import CorruptWeightsError
from zoo.hub.commits import SIZE_LIMIT, Commit, check_request, known_commit
from zoo.weights import remembered
from zoo.weights.verified_file import DigestFrom, VerifiedFile, open_regular

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


class Expected(NamedTuple):
    """The digest that the content must have, and who says so."""

    algorithm: str
    digest: str
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

    wanted = revision or request.revision
    try:
        found = try_to_load_from_cache(request.repository, request.filename, revision=wanted)
    except (OSError, ValueError):  # a cache that cannot be read is one that has nothing
        return None
    return Path(found) if isinstance(found, str) else None


def places_of(path: Path) -> list[Path]:
    """Where a file of the client's cache lies: its blob, and the link to it.

    What a link leads to outside of the folder of its repository is a user's, and not the cache's.
    """
    folder = next(each for each in path.parents if each.name.startswith("models--"))
    blob = path.resolve()
    return [blob, path] if blob.is_relative_to(folder.resolve()) else [path]


def commit_of(request: Request, path: Path) -> str:
    """The commit of a file in the cache, which lies below a folder of that name."""
    return path.parts[-1 - len(request.filename.split("/"))]


def expected_of(request: Request, commit: Commit | None, path: Path | None = None) -> Expected:
    """The digest that is pinned, or else the one that the Hub gives, or gave, for the commit.

    Without the Hub's word, the name of the blob at `path`, which the client takes from the Hub's
    answer; `unverified` where nothing says it.
    """
    entry = commit.files.get(request.filename) if commit else None
    if request.sha256:
        if entry and entry.algorithm == "sha256" and entry.digest != request.sha256:
            raise CorruptWeightsError(
                "the repository no longer holds the pinned file: expected sha256 "
                f"{request.sha256}, the Hub has {entry.digest}",
                where=str(request),
                remedy="zoo weights check; pin the commit that holds it (revision=)",
            )
        return Expected("sha256", request.sha256, "manifest")
    if entry:
        return Expected(entry.algorithm, entry.digest, "hub")
    name = os.path.basename(os.path.realpath(path)) if path else ""
    algorithm = {64: "sha256", 40: "git"}.get(len(name)) if re.fullmatch("[0-9a-f]+", name) else ""
    return Expected(algorithm, name, "cache") if algorithm else Expected("", "", "unverified")


def expected_in_cache(request: Request, path: Path) -> Expected:
    """The digest of a cached file, without the network."""
    return expected_of(request, known_commit(request.repository, commit_of(request, path)), path)


def open_verified(
    request: Request, path: Path | None, commit: str, expected: Expected
) -> VerifiedFile | None:
    """The file at `path`, if it is there and has the digest that is expected, if any is."""
    try:
        handle = open_regular(path) if path else None
    except OSError:
        handle = None
    if path is None or handle is None:
        return None
    try:
        found = remembered.digest(handle, expected.algorithm) if expected.algorithm else ""
        if found == expected.digest:
            return VerifiedFile(
                path=path, handle=handle, sha256=remembered.digest(handle), source="hub",
                digest_from=expected.said_by, repository=request.repository, revision=commit,
                filename=request.filename,
            )  # fmt: skip
        logger.warning("%s has the digest %s, not %s", path, found, expected.digest)
        handle.close()
        return None
    except OSError as error:
        logger.warning("%s cannot be read: %s", path, error)
        handle.close()
        return None
    except BaseException:
        handle.close()
        raise
