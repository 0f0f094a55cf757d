"""The Hub's HTTP interface on one loopback port, and its CDN on a second."""

from __future__ import annotations

import base64
import json
import re
import socket
import struct
import time
import zlib
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from hub.faults import Fault, Faults
from hub.store import Repository, Store, git_oid, is_lfs, oid, sha256

STALL = 30.0
FLOOD = 2**28
BODY_FAULTS = (
    "corrupt", "truncate", "cut", "close", "stall", "long", "html", "range", "no_range", "drip",
    "gzip_bomb", "flood",
)  # fmt: skip
ROUTES = [
    ("GET", r"/api/whoami-v2", "whoami"),
    ("POST", r"/api/repos/create", "create"),
    ("GET", r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", "info"),
    ("GET", r"/api/models/([^/]+/[^/]+)/tree/([^/]+)(?:/.*)?", "tree"),
    ("GET", r"/api/models/([^/]+/[^/]+)/refs", "refs"),
    ("GET", r"/api/models/([^/]+/[^/]+)/commits/([^/]+)", "commits"),
    ("POST", r"/api/models/([^/]+/[^/]+)/paths-info/([^/]+)", "paths_info"),
    ("POST", r"/api/models/([^/]+/[^/]+)/preupload/([^/]+)", "preupload"),
    ("POST", r"/api/models/([^/]+/[^/]+)/commit/([^/]+)", "commit"),
    ("POST", r"/api/validate-yaml", "validate_yaml"),
    ("POST", r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", "batch"),
    ("HEAD", r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "resolve"),
    ("GET", r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "resolve"),
]


class Hub:
    """A running server: `store` to fill, `faults` to switch on, `log` of what was asked."""

    def __init__(self) -> None:
        self.store, self.faults = Store(), Faults()
        self.log: list[str] = []
        self.sent = 0
        self.moves: list[tuple[str, dict[str, bytes]]] = []  # what a `move` fault commits
        self._servers = [_Server(self, _HubHandler), _Server(self, _CdnHandler)]
        self.endpoint, self.cdn = (f"http://127.0.0.1:{s.server_port}" for s in self._servers)
        for server in self._servers:
            Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def counts(self) -> Counter[str]:
        """How often each place was asked, as `data`, `info`, ..."""
        return Counter(line.split()[0] for line in self.log)

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: Hub, handler: type[BaseHTTPRequestHandler]) -> None:
        self.hub = hub
        super().__init__(("127.0.0.1", 0), handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that goes away is part of the tests


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    @property
    def hub(self) -> Hub:
        return self.server.hub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if not any(name.lower() == "content_length" for name in headers):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_json(self, value: Any, status: int = 200, **headers: str) -> None:
        self.send(status, json.dumps(value).encode(), Content_Type="application/json", **headers)

    def refuse(self, status: int, code: str, message: str = "") -> None:
        self.send(status, b"", X_Error_Code=code, X_Error_Message=message or code)

    def reset(self) -> None:
        """Close so that the other side sees ECONNRESET."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
        raise ConnectionAbortedError

    def strike(self, place: str) -> bool:
        """Carry out a fault that replaces the whole answer; whether there was one."""
        fault = self.hub.faults.take(place, ("status", "reset", "junk"))
        if fault is None:
            return False
        if fault.kind == "reset":
            self.reset()
        elif fault.kind == "junk":
            self.send_json([{"sha": 7, "siblings": "no"}, None, 3])
        else:
            headers = {k.replace("-", "_"): v for k, v in fault.headers.items()}
            self.send(fault.status, b"fault", **headers)
        return True

    def send_data(self, content: bytes, place: str = "data", **headers: str) -> None:
        """Content with Range, under the faults that bend a body."""
        start = self._range_start(len(content))
        fault = self.hub.faults.take(place, BODY_FAULTS)
        if start is None:
            return self.send(416, Content_Range=f"bytes */{len(content)}")
        if fault and fault.kind == "no_range":
            start = 0
        at = max(0, start - 3) if fault and fault.kind == "range" and start else start
        part = content[at:][: len(content) - start]
        status = 206 if start else 200
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if fault and fault.kind not in ("range", "no_range"):
            return self._bent(fault, status, part, headers)
        self.send(status, part, **headers)

    def _range_start(self, size: int) -> int | None:
        match = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(match[1]) if match else 0
        return None if match and start >= size else start

    def _bent(self, fault: Fault, status: int, part: bytes, headers: dict[str, str]) -> None:
        half = part[: len(part) // 2]
        if fault.kind == "corrupt":
            middle = len(part) // 2
            flipped = bytes([part[middle] ^ 0x10]) if part else b""
            return self.send(status, part[:middle] + flipped + part[middle + 1 :], **headers)
        if fault.kind == "truncate":
            return self.send(status, half, **headers)
        if fault.kind == "long":
            return self.send(status, part + b"\0" * 1000, **headers)
        self.close_connection = True
        if fault.kind in ("html", "gzip_bomb"):
            self.send_response(200)
            self.send_header("Connection", "close")
            if fault.kind == "gzip_bomb":
                self.send_header("Content-Encoding", "gzip")
                page = zlib.compress(b"\0" * 200_000_000, 9, wbits=31)
            else:
                page = b"<!doctype html><html>Please log in to the network</html>"
            self.end_headers()
            self.wfile.write(page)
            return
        if fault.kind == "flood":
            return self._flood()
        self.send(status, b"", Content_Length=str(len(part)), **headers)
        if fault.kind == "drip":
            for byte in part:
                self.wfile.write(bytes([byte]))
                time.sleep(0.2)
            return
        self.wfile.write(half)
        self.wfile.flush()
        if fault.kind == "stall":
            time.sleep(STALL)
        if fault.kind != "close":
            self.reset()

    def _flood(self) -> None:
        self.send_response(200)
        self.end_headers()
        while self.hub.sent < FLOOD:
            self.wfile.write(b"\0" * 65536)
            self.hub.sent += 65536


class _CdnHandler(_Handler):
    """Large files: GET with Range, PUT from uploads."""

    def do_GET(self) -> None:
        digest = self.path.rpartition("/")[2]
        self.hub.log.append(f"data {self.headers.get('Range', '')}")
        if self.headers.get("Authorization"):
            return self.refuse(400, "TokenSentToCdn")
        if not self.strike("data"):
            self.send_data(self.hub.store.blobs[digest], ETag=f'"{digest}"')

    def do_PUT(self) -> None:
        digest = self.path.rpartition("/")[2]
        self.hub.log.append("upload")
        content = self.body()
        if self.strike("upload"):
            return
        if sha256(content) != digest:
            return self.refuse(400, "BadDigest")
        self.hub.store.blobs[digest] = content
        self.send(200, ETag=f'"{digest}"')


class _HubHandler(_Handler):
    def _dispatch(self) -> None:
        url = urlsplit(self.path)
        self.query = {key: values[0] for key, values in parse_qs(url.query).items()}
        for method, pattern, name in ROUTES:
            match = re.fullmatch(pattern, url.path)
            if match and method == self.command:
                self.hub.log.append(f"{name} {self.command} {url.path}")
                if not self.strike(name):
                    getattr(self, f"on_{name}")(
                        *(part and unquote(part) for part in match.groups())
                    )
                return
        self.body()
        self.hub.log.append(f"unknown {self.command} {self.path}")
        self.refuse(404, "NotFound", self.path)

    do_GET = do_POST = do_HEAD = _dispatch

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

    def on_create(self) -> None:
        wanted = json.loads(self.body())
        name = f"{wanted.get('organization') or self.user}/{wanted['name']}"
        if self.user is None:
            return self.refuse(401, "Unauthorized")
        if name in self.hub.store.repositories:
            return self.send_json({"url": f"{self.hub.endpoint}/{name}"}, 409)
        private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
        repository = self.hub.store.repository(name, private=private)
        repository.commit({".gitattributes": b"*.safetensors filter=lfs\n"}, title="initial commit")
        self.send_json({"url": f"{self.hub.endpoint}/{name}", "id": name, "name": name})

    def on_preupload(self, name: str, revision: str) -> None:
        wanted = json.loads(self.body())
        if self.user is None:
            return self.refuse(401, "Unauthorized")
        _, commit = self.found(name, revision)
        if commit is None:
            return
        rows = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if is_lfs(file["path"]) else "regular",
                "shouldIgnore": False,
                "oid": oid(file["path"], commit.files[file["path"]])
                if file["path"] in commit.files
                else None,
            }
            for file in wanted["files"]
        ]
        self.send_json({"files": rows, "commitOid": commit.sha})
        self.moved("preupload")

    def on_batch(self, name: str) -> None:
        wanted = json.loads(self.body())
        if self.user is None:
            return self.refuse(401, "Unauthorized")
        rows = []
        for item in wanted["objects"]:
            row = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.hub.store.blobs:
                row["actions"] = {"upload": {"href": f"{self.hub.cdn}/lfs/{item['oid']}"}}
            rows.append(row)
        self.send_json({"transfer": "basic", "objects": rows})

    def on_validate_yaml(self) -> None:
        self.body()
        self.send_json({"errors": [], "warnings": []})

    def on_commit(self, name: str, revision: str) -> None:
        lines = [json.loads(line) for line in self.body().splitlines() if line.strip()]
        repository, base = self.found(name, revision)
        if self.user is None or base is None:
            return self.refuse(401, "Unauthorized") if base else None
        header = next(line["value"] for line in lines if line["key"] == "header")
        if header.get("parentCommit") not in (None, base.sha):
            return self.refuse(412, "PreconditionFailed", "A commit has happened since")
        files = {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.store.blobs:
                    return self.refuse(400, "MissingLfsObject")
                files[value["path"]] = self.hub.store.blobs[value["oid"]]
        if self.hub.faults.take("commit", ("alter",)):
            files = {path: content + b"altered" for path, content in files.items()}
        branch, answer = revision, {}
        if self.query.get("create_pr") in ("1", "true"):
            repository.pull_requests += 1
            number = repository.pull_requests
            branch = f"refs/pr/{number}"
            answer = {"pullRequestUrl": f"{self.hub.endpoint}/{name}/discussions/{number}"}
        sha = repository.commit(files, branch, header.get("summary", ""), parent=base.sha)
        if self.hub.faults.take("commit", ("lost",)):
            self.reset()
        url = f"{self.hub.endpoint}/{name}/commit/{sha}"
        self.send_json({"success": True, "commitOid": sha, "commitUrl": url, **answer})
        self.moved("commit")


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
