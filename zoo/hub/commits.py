"""A repository and a revision become one commit, with the digests that the Hub gives of its files.

Commits do not change, so what the Hub says of one is kept in a note and not asked for again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from zoo import remembered
from zoo.errors import HubError, UsageError
from zoo.hub.client import ATTEMPTS, Clock, api, call

COMMIT = re.compile(r"[0-9a-f]{40}\Z")
SIZE_LIMIT = 2**50
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}\Z", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9_][\w./+-]{0,199}\Z", re.ASCII)
_PART = re.compile(r"[\w+=,@ .-]{1,200}\Z", re.ASCII)
_PREFIXES = ("hf-hub:", "hf_hub:", "hf://")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a commit: its size, and its digest, `sha256` of a large file or git's blob id."""

    size: int
    sha256: str = ""
    git: str = ""

    @property
    def digest(self) -> str:
        """The digest there is, which is also the name of the file's copy in the client's cache."""
        return self.sha256 or self.git


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
    revision = revision or "main"
    check_request(repository, revision)
    return repository, revision


def check_request(repository: str, revision: str, filename: str = "config.json") -> None:
    """Refuse names that could leave the cache folder or the repository's URL."""
    parts = (*repository.split("/"), *revision.split("/"), *filename.split("/"))
    if not _REPOSITORY.match(repository) or "--" in repository:
        raise UsageError(f"{repository!r} is not a repository's name", remedy="org/name")
    if not _REVISION.match(revision):
        raise UsageError(f"{revision!r} is not a revision", remedy="a branch, a tag or a commit")
    if any(part in ("", ".", "..") for part in parts) or not all(
        _PART.match(part) for part in filename.split("/")
    ):
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
    ask = partial(call, where=f"{repository}@{revision}", clock=clock, attempts=attempts)
    wait = constants.HF_HUB_DOWNLOAD_TIMEOUT
    hub = api()
    info = ask(
        lambda: hub.model_info(repository, revision=revision, files_metadata=True, timeout=wait)
    )
    sha = info.sha
    if not isinstance(sha, str) or not COMMIT.match(sha):
        raise HubError("the Hub names no commit for the revision", where=f"{repository}@{revision}")
    if COMMIT.match(revision) and sha != revision:
        raise HubError(f"asked for commit {revision}, the Hub answers with {sha}", where=repository)
    files = _entries(info.siblings or (), "rfilename")
    if not files:  # a server that lists digests in the tree only
        tree = ask(lambda: list(hub.list_repo_tree(repository, recursive=True, revision=sha)))
        files = _entries(tree, "path")
    remembered.write_note(_note(repository, sha), {k: asdict(entry) for k, entry in files.items()})
    return Commit(repository, sha, files)


def known_commit(repository: str, sha: str) -> Commit | None:
    """What the Hub once said of a commit; None for a branch, a tag, or one never asked for."""
    note = remembered.read_note(_note(repository, sha)) if COMMIT.match(sha) else {}
    rows = {k: v for k, v in note.items() if isinstance(v, dict)}
    entries = {k: _entry(v.get("size"), v.get("sha256"), v.get("git")) for k, v in rows.items()}
    files = {name: entry for name, entry in entries.items() if entry}
    return Commit(repository, sha, files) if files else None


def _note(repository: str, sha: str) -> Path:
    return remembered.folder() / "commits" / repository.replace("/", "--") / f"{sha}.json"


def _entries(rows: Iterable[Any], name: str) -> dict[str, Entry]:
    """The files for which a digest is given; whatever else is in the answer is passed over."""
    found: dict[str, Entry] = {}
    for row in rows:
        lfs = getattr(row, "lfs", None)
        size = lfs.size if lfs else getattr(row, "size", None)
        entry = _entry(size, lfs.sha256 if lfs else "", "" if lfs else getattr(row, "blob_id", ""))
        if entry:
            found[getattr(row, name)] = entry
    return found


def _entry(size: Any, sha256: Any, git: Any) -> Entry | None:
    if type(size) is not int or not 0 <= size < SIZE_LIMIT:
        return None
    if isinstance(sha256, str) and _SHA256.match(sha256):
        return Entry(size, sha256=sha256)
    if isinstance(git, str) and COMMIT.match(git) and not sha256:
        return Entry(size, git=git)
    return None
