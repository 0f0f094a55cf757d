"""A repository and a revision become one commit, with the digests that the Hub gives of its files.

Commits do not change, so what the Hub says of one is kept in a note and not asked for again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from zoo.errors import HubError, UsageError
from zoo.hub.client import ATTEMPTS, Clock, api, call
from zoo.weights import remembered

SIZE_LIMIT = 2**50
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_DIGESTS = {"sha256": re.compile(r"[0-9a-f]{64}\Z"), "git": _COMMIT}
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}\Z", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9_][\w./+-]{0,199}\Z", re.ASCII)
_PART = re.compile(r"[\w+=,@ .-]{1,200}\Z", re.ASCII)
_PREFIXES = ("hf-hub:", "hf_hub:", "hf://")


class Entry(NamedTuple):
    """A file of a commit: its size, and its digest, by which the client's cache names the file.

    `algorithm` is `sha256`, of a large file, or `git`, the id of git's blob.
    """

    size: int
    algorithm: str
    digest: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a repository, with what the Hub says of its files."""

    repository: str
    sha: str
    files: Mapping[str, Entry]

    def entry(self, filename: str) -> Entry:
        """The file's digest and size; `HubError` if the commit has no such file."""
        if filename not in self.files:
            weights = sorted(name for name in self.files if name.endswith(".safetensors"))
            raise HubError(
                f"the repository has no file {filename!r} with a digest",
                where=f"{self.repository}@{self.sha}",
                remedy=f"it has {', '.join(weights[:5]) or 'no safetensors file at all'}",
            )
        return self.files[filename]


def parse_repository(name: str) -> tuple[str, str]:
    """`hf-hub:org/name@revision` as (repository, revision); without a revision, `main`."""
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    repository, _, revision = name.partition("@")
    check_request(repository, revision or "main")
    return repository, revision or "main"


def check_request(repository: str, revision: str, filename: str = "config.json") -> None:
    """Refuse names that could leave the cache folder or the repository's URL."""
    parts = (*repository.split("/"), *revision.split("/"), *filename.split("/"))
    if not _REPOSITORY.match(repository) or "--" in repository:
        raise UsageError(f"{repository!r} is not a repository's name", remedy="org/name")
    if not _REVISION.match(revision):
        raise UsageError(f"{revision!r} is not a revision", remedy="a branch, a tag or a commit")
    if {"", ".", ".."} & {*parts} or not all(map(_PART.match, filename.split("/"))):
        raise UsageError(f"{repository}@{revision}: {filename!r} is not a path in a repository")


def resolve(
    repository: str, revision: str, *, clock: Clock, attempts: int = ATTEMPTS, fresh: bool = False
) -> Commit:
    """Ask the Hub, in one request, for the commit of a revision and the digests of its files.

    Args:
        fresh: ask even for a commit of which the Hub has told before.

    Raises:
        UnreachableError: no answer. HubError: refused, or the answer makes no sense.
    """
    from huggingface_hub import constants

    known = None if fresh else known_commit(repository, revision)
    if known:
        return known
    where, hub, wait = f"{repository}@{revision}", api(), constants.HF_HUB_DOWNLOAD_TIMEOUT
    ask = partial(call, where=where, clock=clock, attempts=attempts)
    info = ask(
        lambda: hub.model_info(repository, revision=revision, files_metadata=True, timeout=wait)
    )
    sha = info.sha
    if not _is_digest("git", sha) or (_COMMIT.match(revision) and sha != revision):
        raise HubError(f"the Hub answers with the commit {str(sha)[:80]}", where=where)
    files = _entries(info.siblings or ())
    if not files:  # a server that lists digests in the tree only
        tree = ask(lambda: list(hub.list_repo_tree(repository, recursive=True, revision=sha)))
        files = _entries(tree)
    commit = Commit(repository, sha, files)
    if commit != known_commit(repository, sha):
        remembered.write_note(_note(repository, sha), files)
    return commit


def known_commit(repository: str, sha: str) -> Commit | None:
    """What the Hub once said of a commit; None for a branch, a tag, or one never asked for."""
    rows = remembered.read_note(_note(repository, sha)) if _COMMIT.match(sha) else {}
    files = {k: Entry(*v) for k, v in rows.items() if isinstance(v, list) and _is_entry(*v)}
    return Commit(repository, sha, files) if files else None


def _note(repository: str, sha: str) -> Path:
    return remembered.folder() / "commits" / repository.replace("/", "--") / f"{sha}.json"


def _entries(rows: Iterable[Any]) -> dict[str, Entry]:
    """The files for which a digest is given; whatever else is in the answer is passed over."""
    found: dict[str, Entry] = {}
    for row in rows:
        lfs, size, git = (getattr(row, name, None) for name in ("lfs", "size", "blob_id"))
        entry = Entry(lfs.size, "sha256", lfs.sha256) if lfs else Entry(size, "git", git)  # pyright: ignore[reportArgumentType]
        if _is_entry(*entry):
            found[row.rfilename] = entry
    return found


def _is_entry(size: Any = None, algorithm: Any = None, digest: Any = None, *_: Any) -> bool:
    return type(size) is int and 0 <= size < SIZE_LIMIT and _is_digest(algorithm, digest)


def _is_digest(algorithm: Any, digest: Any) -> bool:
    pattern = _DIGESTS.get(algorithm) if isinstance(algorithm, str) else None
    return bool(pattern and isinstance(digest, str) and pattern.match(digest))
