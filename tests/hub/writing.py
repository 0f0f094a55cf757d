"""What a client sends to the Hub: repositories, uploads, commits."""

from __future__ import annotations

import base64
import json
import re

from hub.reading import ReadingHandler
from hub.store import is_lfs, oid


class WritingHandler(ReadingHandler):
    """Routes that change something."""

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
        card = json.loads(self.body())["content"]
        found = re.search(r"^license: (.*)$", card, re.MULTILINE)
        if found and found[1] not in ("mit", "apache-2.0", "unknown"):
            message = '"license" must be one of [apache-2.0, mit, unknown]'
            return self.send_json({"errors": [{"message": message}], "warnings": []}, 400)
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
