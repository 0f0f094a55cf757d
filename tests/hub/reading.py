"""What a client asks of the Hub: repositories, their files, who is logged in."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from hub.answers import Handler
from hub.store import Repository, git_oid, is_lfs, oid, sha256


class ReadingHandler(Handler):
    """Routes that only read; `ROUTES` of `hub.server` names the methods."""

    query: dict[str, str]

    @property
    def user(self) -> str | None:
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        return self.hub.store.tokens.get(token) if scheme == "Bearer" else None

    def repository(self, name: str, content: bool = False) -> Repository | None:
        """The repository, or None after the Hub's own kind of refusal."""
        repository = self.hub.store.repositories.get(name)
        if repository is None or (repository.private and not self.user):
            self.refuse(404 if self.user else 401, "RepoNotFound", "Repository not found")
        elif repository.gated and content and not self.user:
            self.refuse(403, "GatedRepo", f"Access to model {name} is restricted")
        else:
            return repository
        return None

    def found(self, name: str, revision: str | None, content: bool = False) -> tuple[Any, Any]:
        repository = self.repository(name, content)
        commit = repository.resolve(revision or "main") if repository else None
        if repository and commit is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return repository, commit

    def moved(self, place: str) -> None:
        if self.hub.faults.take(place, ("move",)):
            for name, files in self.hub.moves:
                self.hub.store.put(name, files)

    def on_whoami(self) -> None:
        if self.user is None:
            return self.refuse(401, "Unauthorized", "Invalid user token")
        self.send_json({"type": "user", "name": self.user, "orgs": [], "auth": {"type": "x"}})

    def on_info(self, name: str, revision: str | None) -> None:
        repository, commit = self.found(name, revision)
        if commit is None:
            return
        blobs = "blobs" in self.query and not self.hub.faults.take("info", ("plain",))
        siblings = [_sibling(p, c, blobs) for p, c in commit.files.items()]
        value = {
            "id": name, "modelId": name, "sha": commit.sha, "private": repository.private,
            "gated": "auto" if repository.gated else False, "siblings": siblings, "tags": [],
        }  # fmt: skip
        self.send_data(json.dumps(value).encode(), "info", Content_Type="application/json")
        self.moved("info")

    def on_tree(self, name: str, revision: str) -> None:
        _, commit = self.found(name, revision)
        if commit is not None:
            self.send_json([_tree_row(path, data) for path, data in commit.files.items()])

    def on_paths_info(self, name: str, revision: str) -> None:
        content = self.body()
        wanted = (
            json.loads(content)["paths"]
            if content[:1] == b"{"
            else parse_qs(content.decode())["paths"]
        )
        _, commit = self.found(name, revision)
        if commit is not None:
            rows = [_tree_row(p, data) for p, data in commit.files.items() if p in wanted]
            self.send_json(rows)

    def on_refs(self, name: str) -> None:
        repository = self.repository(name)
        if repository:
            rows = [
                {"name": n, "ref": n if n.startswith("refs/") else f"refs/heads/{n}",
                 "targetCommit": c}
                for n, c in repository.branches.items()
            ]  # fmt: skip
            pulls = [row for row in rows if row["ref"].startswith("refs/pr/")]
            heads = [row for row in rows if row not in pulls]
            more = {"pullRequests": pulls} if "include_prs" in self.query else {}
            self.send_json({"branches": heads, "converts": [], "tags": [], **more})

    def on_commits(self, name: str, revision: str) -> None:
        repository, commit = self.found(name, revision)
        rows = []
        while commit:
            rows.append(
                {
                    "id": commit.sha, "title": commit.title, "message": "", "authors": [],
                    "date": "2026-01-01T00:00:00.000Z",
                }
            )  # fmt: skip
            commit = repository.commits.get(commit.parent)
        if rows:
            self.send_json(rows)

    def on_resolve(self, name: str, revision: str, path: str) -> None:
        repository, commit = self.found(name, revision, content=True)
        if commit is None:
            return
        content = commit.files.get(path)
        if content is None:
            return self.send(
                404, X_Error_Code="EntryNotFound", X_Error_Message="Entry not found",
                X_Repo_Commit=commit.sha,
            )  # fmt: skip
        etag = self._etag(repository, commit, path, content)
        headers = {"X_Repo_Commit": commit.sha, "ETag": f'"{etag}"'}
        if is_lfs(path):
            headers |= {
                "X_Linked_Etag": f'"{etag}"', "X_Linked_Size": str(len(content)),
                "Location": f"{self.hub.cdn}/lfs/{sha256(content)}",
            }  # fmt: skip
            if self.hub.faults.take("resolve", ("no_size",)):
                del headers["X_Linked_Size"]
            self.send(302, **headers)
        elif self.command == "HEAD":
            self.send(200, Content_Length=str(len(content)), **headers)
        else:
            self.hub.log.append(f"data {path}")
            self.send_data(content, **headers)
        self.moved("resolve")

    def _etag(self, repository: Repository, commit: Any, path: str, content: bytes) -> str:
        if self.hub.faults.take("resolve", ("hostile_etag",)):
            return "../../../../escaped"
        if self.hub.faults.take("resolve", ("stale_etag",)):
            before = repository.commits.get(commit.parent)
            return oid(path, before.files[path]) if before else "0" * 40
        return oid(path, content)


def _sibling(path: str, content: bytes, blobs: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"rfilename": path}
    if blobs:
        row |= {"size": len(content), "blobId": git_oid(content)}
    if blobs and is_lfs(path):
        row["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": 134}
    return row


def _tree_row(path: str, content: bytes) -> dict[str, Any]:
    row: dict[str, Any] = {
        "type": "file", "path": path, "size": len(content), "oid": git_oid(content),
    }  # fmt: skip
    if is_lfs(path):
        row["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": 134}
    return row
