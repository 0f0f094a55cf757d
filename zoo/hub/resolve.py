"""A repository and a revision become one commit and the digests of its files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import quote

from zoo.errors import HubError, UsageError
from zoo.hub import cache
from zoo.hub.transport import RETRIES, Clock, read_json

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}\Z", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9_][\w./+-]{0,199}\Z", re.ASCII)
_PART = re.compile(r"[\w+=,@ .-]{1,200}\Z", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_PREFIXES = ("hf-hub:", "hf_hub:", "hf://")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a commit: its size, and its LFS digest `sha256` or else git's blob id."""

    size: int
    sha256: str = ""
    git: str = ""


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a repository, with what the Hub says of its files."""

    repository: str
    sha: str
    files: Mapping[str, Entry]

    def entry(self, filename: str) -> Entry:
        """The file's digest and size; `HubError` if the commit has no such file."""
        if filename not in self.files:
            raise HubError(
                f"the repository has no file {filename!r} with a digest",
                where=f"{self.repository}@{self.sha}",
                remedy=_other_files(self.files),
            )
        return self.files[filename]


def _other_files(files: Mapping[str, Entry]) -> str:
    weights = sorted(name for name in files if name.endswith(".safetensors"))
    return f"it has {', '.join(weights[:5])}" if weights else "it has no safetensors file at all"


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
    repository: str, revision: str, *, clock: Clock, retries: int = RETRIES, fresh: bool = False
) -> Commit:
    """Ask the Hub, in one request, for the commit of a revision and the digests of its files.

    Commits do not change, so one that was asked for before is not asked for again, unless `fresh`.

    Raises:
        UnreachableError: no answer. HubError: refused, or the answer makes no sense.
    """
    from huggingface_hub import constants

    known = None if fresh else known_commit(repository, revision)
    if known:
        return known
    base = f"{constants.ENDPOINT}/api/models/{repository}"
    url = f"{base}/revision/{quote(revision, safe='')}?blobs=true"
    info = read_json(url, clock=clock, retries=retries)
    sha = info.get("sha") if isinstance(info, dict) else None
    if not isinstance(sha, str) or not cache.COMMIT.match(sha):
        raise HubError("the Hub names no commit for the revision", where=url)
    if cache.COMMIT.match(revision) and sha != revision:
        raise HubError(f"asked for commit {revision}, the Hub answers with {sha}", where=url)
    files = _entries(info.get("siblings"), "rfilename", "blobId", "sha256")
    if not files:  # a server that lists digests in the tree only
        tree = read_json(f"{base}/tree/{sha}?recursive=true", clock=clock, retries=retries)
        files = _entries(tree, "path", "oid", "oid")
    cache.write_note(_note(repository, sha), {k: asdict(entry) for k, entry in files.items()})
    return Commit(repository, sha, files)


def _note(repository: str, sha: str) -> Path:
    return cache.notes() / "commits" / repository.replace("/", "--") / f"{sha}.json"


def known_commit(repository: str, sha: str) -> Commit | None:
    """What the Hub once said of a commit; None for a branch, a tag, or one never asked for."""
    note = cache.read_note(_note(repository, sha)) if cache.COMMIT.match(sha) else {}
    files = {k: Entry(**v) for k, v in note.items() if _is_entry(v)}
    return Commit(repository, sha, files) if files else None


def _is_entry(value: Any) -> bool:
    if not isinstance(value, dict) or value.keys() != {"size", "sha256", "git"}:
        return False
    sha256, git = value["sha256"], value["git"]
    return (
        _is_size(value["size"])
        and isinstance(sha256, str)
        and isinstance(git, str)
        and bool(_SHA256.match(sha256) or cache.COMMIT.match(git))
    )


def _entries(rows: Any, name: str, git: str, sha256: str) -> dict[str, Entry]:
    """The files for which a digest is given; whatever else is in the answer is passed over."""
    found: dict[str, Entry] = {}
    for row in rows if isinstance(rows, list) else ():
        entry = _entry(row, git, sha256) if isinstance(row, dict) else None
        if entry and isinstance(row.get(name), str):
            found[row[name]] = entry
    return found


def _entry(row: Mapping[str, Any], git: str, sha256: str) -> Entry | None:
    lfs = row.get("lfs")
    if isinstance(lfs, dict):
        size, digest = lfs.get("size"), lfs.get(sha256)
        if _is_size(size) and isinstance(digest, str) and _SHA256.match(digest):
            return Entry(size, sha256=digest)
        return None
    size, digest = row.get("size"), row.get(git)
    if _is_size(size) and isinstance(digest, str) and cache.COMMIT.match(digest):
        return Entry(size, git=digest)
    return None


def _is_size(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**50
