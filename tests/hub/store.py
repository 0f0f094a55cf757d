"""Repositories in memory: commits, branches and large files, with the Hub's digests."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from functools import lru_cache

LFS_SUFFIXES = (".safetensors", ".bin", ".pth", ".png")


@lru_cache(maxsize=256)
def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@lru_cache(maxsize=256)
def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_lfs(path: str) -> bool:
    return path.endswith(LFS_SUFFIXES)


def oid(path: str, content: bytes) -> str:
    """What the Hub sends as the file's ETag."""
    return sha256(content) if is_lfs(path) else git_oid(content)


@dataclass
class Commit:
    sha: str
    parent: str
    files: dict[str, bytes]
    title: str = ""


@dataclass
class Repository:
    name: str
    private: bool = False
    gated: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    pull_requests: int = 0

    def commit(
        self,
        files: dict[str, bytes],
        branch: str = "main",
        title: str = "",
        deleted: tuple[str, ...] = (),
        parent: str | None = None,
    ) -> str:
        parent = parent or self.branches.get(branch, "")
        before = self.commits[parent].files if parent else {}
        after = {k: v for k, v in {**before, **files}.items() if k not in deleted}
        serial = next(_serial)
        sha = hashlib.sha1(f"{self.name} {serial} {title}".encode()).hexdigest()
        self.commits[sha] = Commit(sha, parent, after, title)
        self.branches[branch] = sha
        return sha

    def resolve(self, revision: str) -> Commit | None:
        return self.commits.get(self.branches.get(revision, revision))


_serial = itertools.count()


@dataclass
class Store:
    repositories: dict[str, Repository] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)  # uploaded or committed LFS content
    tokens: dict[str, str] = field(default_factory=lambda: {"hf_good": "org"})

    def repository(self, name: str, **options: bool) -> Repository:
        return self.repositories.setdefault(name, Repository(name, **options))

    def put(self, name: str, files: dict[str, bytes], branch: str = "main") -> str:
        """Commit files to a repository, which is made if need be; the commit's id."""
        for path, content in files.items():
            if is_lfs(path):
                self.blobs[sha256(content)] = content
        return self.repository(name).commit(files, branch)
